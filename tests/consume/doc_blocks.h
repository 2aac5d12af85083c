// What the code blocks of the documents take for granted: doc_blocks.py compiles each block of C++
// after this.
#pragma once

#include <iostream>
#include <memory>
#include <thread>
#include <utility>

#include <opentelemetry/sdk/trace/samplers/parent_factory.h>
#include <opentelemetry/sdk/trace/samplers/trace_id_ratio_factory.h>
#include <opentelemetry/sdk/trace/simple_processor_factory.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/sdk/trace/tracer_provider_factory.h>
#include <opentelemetry/trace/provider.h>
#include <otelpyroscope/otelpyroscope.h>
#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <pprof_http/pprof_http.h>
#include <pyroscope/pyroscope.h>

namespace trace_api = opentelemetry::trace;
namespace trace_sdk = opentelemetry::sdk::trace;

std::unique_ptr<trace_sdk::TracerProvider> InitTracer();   // the user's own set-up of the SDK
std::unique_ptr<trace_sdk::SpanProcessor> MakeExporter();  // with a processor around it
void Work();
