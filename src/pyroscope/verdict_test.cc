#include "src/pyroscope/verdict.h"

#include <curl/curl.h>
#include <gtest/gtest.h>

namespace pyroscope::internal {
namespace {

Answer Http(int status, const std::string& type = "application/json",
            const std::string& body = "") {
  Answer answer;
  answer.status = status;
  answer.complete = true;
  answer.body_sent = true;
  answer.content_type = type;
  answer.body = body;
  return answer;
}

Answer Broken(int code, bool body_sent, int status = 0) {
  Answer answer;
  answer.curl_code = code;
  answer.body_sent = body_sent;
  answer.status = status;
  answer.error = "words";
  return answer;
}

TEST(Verdict, AcceptedIsOnlyWhatAPushServerSays) {
  EXPECT_EQ(Judge(Http(200, "application/proto")).outcome, Outcome::kAccepted);
  EXPECT_EQ(Judge(Http(200, "Application/Proto; charset=x")).outcome, Outcome::kAccepted);
  for (const char* type : {"text/html", "", "application/protobuf", "application/json"}) {
    const Verdict verdict = Judge(Http(200, type));
    EXPECT_EQ(verdict.outcome, Outcome::kRetry) << type;
    EXPECT_TRUE(verdict.counts && verdict.maybe_taken);
  }
  EXPECT_EQ(Judge(Http(204, "")).outcome, Outcome::kRetry);
}

TEST(Verdict, WhatIsRetried) {
  for (int status : {408, 429, 500, 502, 503, 504, 599}) {
    const Verdict verdict = Judge(Http(status));
    EXPECT_EQ(verdict.outcome, Outcome::kRetry) << status;
    EXPECT_TRUE(verdict.counts) << status;
    EXPECT_EQ(verdict.maybe_taken, status != 429 && status != 503) << status;
  }
  for (int status : {300, 301, 302, 307, 400, 401, 403, 404, 405, 407, 413, 415, 422, 501}) {
    const Verdict verdict = Judge(Http(status));
    EXPECT_EQ(verdict.outcome, Outcome::kRefused) << status;
    EXPECT_FALSE(verdict.maybe_taken) << status;
    EXPECT_FALSE(verdict.remedy.empty());
  }
}

TEST(Verdict, NothingDeliveredSaysNothingAboutTheProfile) {
  const Verdict verdict = Judge(Broken(CURLE_COULDNT_CONNECT, false));
  EXPECT_EQ(verdict.outcome, Outcome::kRetry);
  EXPECT_FALSE(verdict.counts);
  EXPECT_FALSE(verdict.maybe_taken);
}

TEST(Verdict, LostAnswersLeaveItOpen) {
  for (int status : {0, 200}) {
    const Verdict verdict = Judge(Broken(CURLE_OPERATION_TIMEDOUT, true, status));
    EXPECT_EQ(verdict.outcome, Outcome::kRetry);
    EXPECT_TRUE(verdict.counts && verdict.maybe_taken);
  }
  EXPECT_EQ(Judge(Broken(CURLE_RECV_ERROR, true, 400)).outcome, Outcome::kRefused)
      << "the status came, the words did not";
}

TEST(Verdict, AbortedIsNoFailure) {
  Answer answer = Broken(CURLE_ABORTED_BY_CALLBACK, true);
  answer.aborted = true;
  const Verdict verdict = Judge(answer);
  EXPECT_EQ(verdict.outcome, Outcome::kAborted);
  EXPECT_TRUE(verdict.maybe_taken);
}

TEST(Verdict, HasTheServersWords) {
  EXPECT_EQ(Judge(Http(400, "application/json", "{\"message\":\"bad\"}")).problem,
            "HTTP 400: {\"message\":\"bad\"}");
  EXPECT_EQ(Judge(Http(200, "text/html", "<html>")).problem,
            "HTTP 200 of type \"text/html\": <html>");
  Answer redirect = Http(302, "");
  redirect.location = "https://login/?token=abc";
  EXPECT_EQ(Judge(redirect).problem, "HTTP 302 to https://login/");
  EXPECT_EQ(Judge(Broken(CURLE_COULDNT_CONNECT, false)).problem, "words");
}

}  // namespace
}  // namespace pyroscope::internal
