// Shared objects that are loaded with RTLD_LOCAL and may have copies of the OpenTelemetry API's
// singletons: the self-test tells, and the installer called by them mends.
#include <dlfcn.h>

#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "tests/otelpyroscope/fresh_process.h"
#include "tests/otelpyroscope/own_singletons_plugin.h"
#include "tests/otelpyroscope/traced_program.h"

namespace otelpyroscope_test {
namespace {

struct Plugin {
  explicit Plugin(const char* path) : handle(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    EXPECT_NE(handle, nullptr) << dlerror();
    if (handle == nullptr) std::_Exit(1);
    self_test = Find<decltype(PluginSelfTest)>("PluginSelfTest");
    install = Find<decltype(PluginInstall)>("PluginInstall");
    run = Find<decltype(PluginRun)>("PluginRun");
    wrap = Find<decltype(PluginWrap)>("PluginWrap");
  }
  template <class F>
  F* Find(const char* name) {
    return reinterpret_cast<F*>(dlsym(handle, name));
  }
  void Run(const Span& span, std::function<void()> work) const {
    run(
        &span, [](void* f) { (*static_cast<std::function<void()>*>(f))(); }, &work);
  }

  void* handle;  // never closed: what installed a storage must stay
  decltype(PluginSelfTest)* self_test;
  decltype(PluginInstall)* install;
  decltype(PluginRun)* run;
  decltype(PluginWrap)* wrap;
};

TEST(OwnSingletons, SelfTestSaysThatTheInstallerIsNeeded) {
  InFreshProcess([] {
    const Plugin plugin(PLUGIN_WITH_OWN_SINGLETONS);
    EXPECT_FALSE(plugin.self_test());
    Program program;
    EXPECT_TRUE(otelpyroscope::ContextStorageInstalled());
    EXPECT_FALSE(plugin.self_test()) << "installed for the program alone";
    const Span root = program.Start("root");
    plugin.Run(root, [] { EXPECT_TRUE(Unlabelled()); });

    EXPECT_TRUE(plugin.install());
    EXPECT_TRUE(plugin.self_test());
    plugin.Run(root, [&] {
      EXPECT_EQ(SpanIdLabel(), IdOf(root));
      EXPECT_EQ(TraceIdLabel(), TraceOf(root));
    });
    EXPECT_TRUE(Unlabelled());
    const trace::Scope scope(root);
    const Span child = program.Start("child");
    plugin.Run(child, [&] {
      EXPECT_EQ(SpanIdLabel(), IdOf(root)) << "the root's labels stay in its trace";
      EXPECT_EQ(SpanNameLabel(), "root");
      EXPECT_EQ(Hex(pprof::CurrentTraceContext()->span_id), IdOf(child));
    });
    EXPECT_EQ(Hex(pprof::CurrentTraceContext()->span_id), IdOf(root));
  });
}

TEST(OwnSingletons, PluginWithAProviderOfItsOwnInstallsByWrappingIt) {
  InFreshProcess([] {
    const Plugin plugin(PLUGIN_WITH_OWN_SINGLETONS);
    Program program;
    const PluginProvider inner(program.provider);
    const std::unique_ptr<PluginProvider> wrapped(plugin.wrap(&inner));
    EXPECT_TRUE(plugin.self_test());
    const Span span = (*wrapped)->GetTracer("plugin")->StartSpan("in the plugin");
    plugin.Run(span, [&] {
      EXPECT_EQ(SpanIdLabel(), IdOf(span));
      EXPECT_EQ(SpanNameLabel(), "in the plugin");
    });
    EXPECT_TRUE(Unlabelled());
  });
}

// Whether this one has its own depends on compiler and linker; the self-test knows.
TEST(OwnSingletons, SelfTestIsRightForAnOrdinaryPlugin) {
  InFreshProcess([] {
    Program program;
    const Plugin plugin(PLUGIN_AS_USUAL);
    const Span root = program.Start("root");
    std::string label;
    plugin.Run(root, [&] { label = SpanIdLabel(); });
    EXPECT_EQ(plugin.self_test(), label == IdOf(root)) << label;
    EXPECT_TRUE(plugin.install());
    EXPECT_TRUE(plugin.self_test());
    plugin.Run(root, [&] { EXPECT_EQ(SpanIdLabel(), IdOf(root)); });
    EXPECT_TRUE(Unlabelled());
  });
}

}  // namespace
}  // namespace otelpyroscope_test
