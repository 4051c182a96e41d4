#include "hub/cache.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "hub/blob.h"
#include "hub/pull.h"
#include "hub/settings.h"
#include "support/error_of.h"
#include "support/environment.h"
#include "support/in_folder.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class HubCacheTest : public InFolder {
 protected:
  void SetUp() override {
    InFolder::SetUp();
    for (const char* name :
         {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HF_ENDPOINT", "HF_TOKEN",
          "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE",
          "HF_HUB_DISABLE_IMPLICIT_TOKEN", "SSL_CERT_FILE", "SSL_CERT_DIR"})
      environment.set(name, nullptr);
    environment.set("HOME", folder.c_str());
  }
  // As the library writes it.
  void cached(const std::string& model, const std::string& commit,
              const std::map<std::string, std::string>& files, const char* ref = "main") {
    const fs::path root = folder / "cache" / model;
    for (const auto& [name, content] : files) {
      const std::string digest = sha256(as_bytes(content));
      fs::create_directories(root / "blobs");
      std::ofstream(root / "blobs" / digest) << content;
      const fs::path link = root / "snapshots" / commit / name;
      fs::create_directories(link.parent_path());
      fs::create_symlink((root / "blobs" / digest).lexically_relative(link.parent_path()), link);
    }
    if (!ref) return;
    fs::create_directories((root / "refs" / ref).parent_path());
    std::ofstream(root / "refs" / ref) << commit;
  }
  HubCache cache() const { return HubCache(folder / "cache"); }
  fs::path snapshot(const std::string& model, const std::string& commit) const {
    return folder / "cache" / model / "snapshots" / commit;
  }
  std::string error_of_model(const std::string& name) const {
    return error_of([&] { cached_model(cache(), ModelName::parse(name)); });
  }
  Environment environment;
  const std::string one = std::string(40, '1'), two = std::string(40, '2');
};

TEST_F(HubCacheTest, TheFolderIsTheLibrarysByItsVariables) {
  EXPECT_EQ(hub_cache_folder(), folder / ".cache/huggingface/hub");
  environment.set("XDG_CACHE_HOME", "/xdg");
  EXPECT_EQ(hub_cache_folder(), "/xdg/huggingface/hub");
  environment.set("HF_HOME", "~/hf");
  EXPECT_EQ(hub_cache_folder(), folder / "hf/hub");
  environment.set("HF_HUB_CACHE", "/models");
  EXPECT_EQ(hub_cache_folder(), "/models");
}

TEST_F(HubCacheTest, TheTokenIsThatOfTheVariableOrOfTheFile) {
  EXPECT_EQ(HubSettings::from_environment().token, "");
  fs::create_directories(folder / ".cache/huggingface");
  put(".cache/huggingface/token", "hf_file\n");
  EXPECT_EQ(HubSettings::from_environment().token, "hf_file");
  environment.set("HF_TOKEN_PATH", put("elsewhere", " hf_other ").c_str());
  EXPECT_EQ(HubSettings::from_environment().token, "hf_other");
  environment.set("HF_TOKEN", "hf_variable");
  EXPECT_EQ(HubSettings::from_environment().token, "hf_variable");
  environment.set("HF_TOKEN", "hf_a\r\nX-Evil: 1");
  EXPECT_THAT(error_of([] { HubSettings::from_environment(); }),
              AllOf(StartsWith("E2002 HF_TOKEN"), testing::Not(HasSubstr("Evil"))));
  environment.set("HF_TOKEN", nullptr);
  environment.set("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
  EXPECT_EQ(HubSettings::from_environment().token, "");
}

TEST_F(HubCacheTest, TheEndpointIsAnAddress) {
  EXPECT_EQ(HubSettings::from_environment().endpoint, "https://huggingface.co");
  environment.set("HF_ENDPOINT", "https://mirror.example/hub//");
  EXPECT_EQ(HubSettings::from_environment().endpoint, "https://mirror.example/hub");
  for (const char* bad :
       {"mirror.example", "ftp://x", "https://user:word@x", "https://x\r\ny", "https://x?y"}) {
    environment.set("HF_ENDPOINT", bad);
    EXPECT_THAT(error_of([] { HubSettings::from_environment(); }), StartsWith("E2002 HF_ENDPOINT")) << bad;
  }
  environment.set("HF_ENDPOINT", nullptr);
  EXPECT_FALSE(HubSettings::from_environment().offline);
  environment.set("HF_HUB_OFFLINE", "yes");
  EXPECT_TRUE(HubSettings::from_environment().offline);
}

TEST_F(HubCacheTest, ReadsWhatTheLibraryWrote) {
  cached("models--org--name", one, {{"config.json", "{}"}, {"sub/a.txt", "a"}}, nullptr);
  cached("models--org--name", two, {{"config.json", "{}"}, {"b.txt", "b"}});
  cached("models--gpt2", one, {{"config.json", "{\"a\": 1}"}});
  fs::create_directories(folder / "cache/datasets--org--data/snapshots" / one);
  fs::create_directories(folder / "cache/models--a--b--c/snapshots" / one);
  put("cache/CACHEDIR.TAG", "");
  const auto all = cache().list();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].repository, "gpt2");
  EXPECT_EQ(all[1].repository, "org/name");
  EXPECT_EQ(all[1].commit, one);
  EXPECT_TRUE(all[1].refs.empty());
  ASSERT_EQ(all[1].files.size(), 2u);
  EXPECT_EQ(all[1].files[1].name, "sub/a.txt");
  EXPECT_EQ(all[1].files[1].blob, folder / "cache/models--org--name/blobs" / sha256(as_bytes("a")));
  EXPECT_EQ(all[1].files[1].size, 1u);
  EXPECT_THAT(all[2].refs, ElementsAre("main"));
}

TEST_F(HubCacheTest, ANameIsItsSnapshotOrItsFile) {
  cached("models--org--name", one, {{"config.json", "{}"}, {"model.safetensors", "x"}});
  EXPECT_EQ(cached_model(cache(), ModelName::parse("org/name")), snapshot("models--org--name", one));
  cached("models--org--gguf", one, {{"m-Q4_K_M.gguf", "4"}, {"m-Q8_0.gguf", "8"}});
  EXPECT_EQ(cached_model(cache(), ModelName::parse("org/gguf")),
            snapshot("models--org--gguf", one) / "m-Q4_K_M.gguf");
  EXPECT_EQ(cached_model(cache(), ModelName::parse("org/gguf:q8_0")),
            snapshot("models--org--gguf", one) / "m-Q8_0.gguf");
  EXPECT_THAT(error_of_model("org/gguf:Q6_K"),
              AllOf(StartsWith("E4001"), HasSubstr("Q4_K_M, Q8_0"), HasSubstr("glossa pull")));
  EXPECT_THAT(error_of_model("org/other:Q8_0"),
              AllOf(StartsWith("E4001"), HasSubstr("glossa pull org/other:Q8_0 gets it")));
}

TEST_F(HubCacheTest, TheNewestCommitIsThatOfMain) {
  cached("models--org--name", one, {{"config.json", "1"}}, nullptr);
  EXPECT_EQ(cached_model(cache(), ModelName::parse("org/name")),
            snapshot("models--org--name", one));  // the only one
  cached("models--org--name", two, {{"config.json", "2"}}, "v2");
  EXPECT_THAT(error_of_model("org/name"), StartsWith("E4001"));  // which of them?
  put("cache/models--org--name/refs/main", two + "\n");
  EXPECT_EQ(cached_model(cache(), ModelName::parse("org/name")), snapshot("models--org--name", two));
  put("cache/models--org--name/refs/main", "../../../../etc");
  EXPECT_THAT(error_of_model("org/name"), StartsWith("E4001"));
}

TEST_F(HubCacheTest, APathThatExistsComesFirst) {
  environment.set("HF_HUB_CACHE", (folder / "cache").c_str());
  cached("models--org--name", one, {{"config.json", "{}"}});
  cached("models--gpt2", one, {{"config.json", "{}"}});
  const fs::path before = fs::current_path();
  fs::current_path(folder);
  EXPECT_EQ(model_path("org/name"), snapshot("models--org--name", one));
  EXPECT_EQ(model_path("gpt2"), snapshot("models--gpt2", one));
  fs::create_directories("org/name");
  EXPECT_EQ(model_path("org/name"), "org/name");
  EXPECT_EQ(model_path("absent"), "absent");
  EXPECT_EQ(model_path("a/b/c.gguf"), "a/b/c.gguf");
  EXPECT_THAT(error_of([] { model_path("runs/absent"); }),
              AllOf(StartsWith("E4001 runs/absent: there is no such file or directory"),
                    HasSubstr("glossa pull runs/absent")));
  fs::current_path(before);
}

TEST_F(HubCacheTest, RemovingFreesWhatNothingElseUses) {
  cached("models--org--name", one, {{"shared", "same"}, {"old-Q8_0.gguf", "old"}}, nullptr);
  cached("models--org--name", two, {{"shared", "same"}, {"new-Q4_K_M.gguf", "newer"}});
  EXPECT_EQ(cache().remove(ModelName::parse("org/name:Q8_0")), 3u);
  EXPECT_EQ(read_file(snapshot("models--org--name", two) / "shared"), "same");
  EXPECT_THAT(error_of([&] { cache().remove(ModelName::parse("org/name:Q8_0")); }), StartsWith("E4001"));
  EXPECT_EQ(cache().remove(ModelName::parse("org/name")), 9u);
  EXPECT_FALSE(fs::exists(folder / "cache/models--org--name"));
  EXPECT_THAT(error_of([&] { cache().remove(ModelName::parse("org/name")); }), StartsWith("E4001"));
}

TEST_F(HubCacheTest, RemovingFollowsNoLinks) {
  put("mine", "mine");
  fs::create_directories(folder / "outside");
  put("outside/kept", "kept");
  cached("models--org--name", one, {{"a", "a"}});
  fs::create_symlink(folder / "mine", snapshot("models--org--name", one) / "b");
  fs::create_directory_symlink(folder / "outside", snapshot("models--org--name", one) / "c");
  cache().remove(ModelName::parse("org/name"));
  EXPECT_EQ(read_file(folder / "mine"), "mine");
  EXPECT_EQ(read_file(folder / "outside/kept"), "kept");
}

TEST_F(HubCacheTest, K19_AModelThatIsBeingFetchedIsNotRemoved) {
  cached("models--org--name", one, {{"a", "a"}});
  make_directories(cache().locks(RepositoryName::parse("org/name")));
  const DirectoryLock lock(cache().locks(RepositoryName::parse("org/name")));
  EXPECT_THAT(error_of([&] { cache().remove(ModelName::parse("org/name")); }), StartsWith("E7001"));
  EXPECT_EQ(read_file(snapshot("models--org--name", one) / "a"), "a");
}

// The library itself on what is written here, and this program on what it writes. GLOSSA_PYTHON names a
// Python that has it.
class WithPython : public HubCacheTest {
 protected:
  bool runs(const std::string& program) {
    put("program.py", program);
    const char* const named = std::getenv("GLOSSA_PYTHON");
    const std::string command =
        fmt::format("HF_HUB_OFFLINE=1 HF_HUB_CACHE='{0}/cache' '{1}' '{0}/program.py' > '{0}/out' 2>&1",
                    folder.native(), named ? named : "python3");
    return std::system(command.c_str()) == 0;
  }
  void SetUp() override {
    HubCacheTest::SetUp();
    if (!runs("import huggingface_hub")) GTEST_SKIP() << "no Python with huggingface_hub (GLOSSA_PYTHON)";
  }
  std::string output() const { return read_file(folder / "out"); }
};

TEST_F(WithPython, FindsWhatIsWrittenHere) {
  HubSettings settings{.cache = folder / "cache", .endpoint = "", .token = ""};
  const RepositoryName name = RepositoryName::parse("org/name");
  import_file(HubCache(settings.cache), name, put("config.json", "{\"model_type\": \"llama\"}"), "");
  const PulledModel model = import_file(HubCache(settings.cache), name, put("model-Q8_0.gguf", "weights"), "");
  EXPECT_TRUE(runs(R"(
import huggingface_hub as hub
path = hub.snapshot_download("org/name", local_files_only=True)
print(path)
assert open(hub.hf_hub_download("org/name", "model-Q8_0.gguf", local_files_only=True)).read() == "weights"
info = hub.scan_cache_dir()
assert not info.warnings, info.warnings
(repo,) = info.repos
assert repo.repo_id == "org/name" and repo.repo_type == "model" and repo.nb_files == 2
(revision,) = repo.revisions
assert revision.refs == {"main"} and path.endswith(revision.commit_hash)
)")) << output();
  EXPECT_EQ(output(), model.path.parent_path().native() + "\n");
}

TEST_F(WithPython, ItsLocksAreOurs) {
  const RepositoryName name = RepositoryName::parse("org/name");
  const fs::path path = cache().locks(name) / "digest.lock";
  {
    const BlobLock lock(path, "x");
    EXPECT_TRUE(runs("import filelock\ntry:\n  filelock.FileLock(r'" + path.native() +
                     "', timeout=0.1).acquire()\n  raise SystemExit(1)\nexcept filelock.Timeout: pass"))
        << output();
  }
  EXPECT_TRUE(
      runs("import filelock, subprocess\nfilelock.FileLock(r'" + path.native() + "', timeout=0.1).acquire()"))
      << output();
}

}  // namespace
}  // namespace glossa
