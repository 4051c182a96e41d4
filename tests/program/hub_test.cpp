#include <atomic>
#include <thread>

#include "../hub/fake_hub.h"
#include "base/json.h"
#include "shell.h"

// `glossa pull` and `glossa models` against a hub of the test's own, and names of models in the place of paths.
namespace glossa::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class HubCommands : public Shell {
 protected:
  static void SetUpTestSuite() {
    make_folder();
    put_letters_model();
  }
  void SetUp() override {
    fs::remove_all(folder() / "hf");
    for (const char* name : {"config.json", "tokenizer.json"}) hub.files[name] = text(std::string("model/") + name);
    hub.large["model.safetensors"] = text("model/model.safetensors");
  }
  // A line of bash with the hub of the test in the environment, and nothing of the machine's.
  std::string with_hub(const std::string& line) const {
    return "unset HF_HUB_CACHE HF_TOKEN HF_TOKEN_PATH HF_HUB_OFFLINE XDG_CACHE_HOME; export HF_HOME=$PWD/hf HF_ENDPOINT=" + hub.endpoint.url() +
           " no_proxy=127.0.0.1; " + line;
  }
  Outcome run(const std::string& line) const { return shell(with_hub(line)); }
  void refuses(const std::string& line, int status, const std::vector<std::string>& parts) const { refused(with_hub(line), status, parts); }
  FakeHub hub;
};

TEST_F(HubCommands, APulledModelIsUsedByItsName) {
  const Outcome pulled = run("glossa pull org/name");
  EXPECT_EQ(pulled.status, 0) << pulled.err;
  EXPECT_EQ(pulled.out, (folder() / "hf/hub/models--org--name/snapshots" / kCommit).native() + "\n");
  EXPECT_THAT(pulled.err, HasSubstr("3 files"));
  const std::string directory = pulled.out.substr(0, pulled.out.size() - 1);
  for (const std::string command : {"generate -p abc -n 5 --temp 0 -q -m ", "tokenizer encode -i lines -m ", "inspect --json --verify ", "perplexity text --json -q -c 16 -m "}) {
    put("lines", "abc\n");
    put("text", std::string(100, 'a') + std::string(100, 'b'));
    const Outcome by_name = run("glossa " + command + "org/name"), by_path = run("glossa " + command + directory);
    EXPECT_EQ(by_name.status, 0) << command << by_name.err;
    const auto head = [](const std::string& s) { return s.substr(0, s.find("\"seconds\"")); };
    EXPECT_EQ(head(by_name.out), head(by_path.out)) << command;
  }
  EXPECT_EQ(run("glossa convert org/name by_name.gguf && glossa verify org/name by_name.gguf --text abc").status, 0);
  const Json list = Json::parse(run("glossa models --json").out);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["name"], "org/name");
  EXPECT_EQ(list[0]["commit"], kCommit);
  EXPECT_EQ(list[0]["architecture"], "LlamaForCausalLM");
  EXPECT_EQ(list[0]["format"], "safetensors");
  EXPECT_THAT(run("glossa models").out, AllOf(HasSubstr("org/name"), HasSubstr("main"), HasSubstr("LlamaForCausalLM")));
  EXPECT_EQ(run("glossa pull org/name --offline").out, pulled.out);
  EXPECT_EQ(Json::parse(run("HF_HUB_OFFLINE=1 glossa pull org/name --json").out)["fetched"], 0);
  EXPECT_EQ(run("glossa models rm org/name").status, 0);
  EXPECT_THAT(run("glossa models").out, HasSubstr("no models in"));
  refuses("glossa generate -m org/name -p x", 4, {"org/name", "glossa pull org/name gets it"});
  refuses("glossa models rm org/name", 4, {"org/name"});
}

TEST_F(HubCommands, StatusesSayWhatWentWrong) {
  refuses("glossa pull", 2, {"name is required"});
  refuses("glossa pull ../../etc", 2, {"../../etc", "ORG/NAME"});
  refuses("glossa pull org/name:", 2, {"org/name:"});
  refuses("glossa pull org/name:Q4_0", 2, {"no GGUF files"});
  refuses("glossa pull org/name:Q4_0 --all", 2, {"--all"});
  refuses("glossa pull org/name --all --include x", 2, {"--all", "--include"});
  refuses("glossa pull org/name --revision ../x", 2, {"--revision"});
  refuses("glossa pull org/name --include nothing", 2, {"--include"});
  refuses("glossa pull org/name --sha256 abc", 2, {"--sha256"});
  refuses("glossa pull org/absent", 4, {"org/absent", "404"});
  refuses("glossa pull org/name --offline", 4, {"--offline"});
  refuses("HF_ENDPOINT=nonsense glossa pull org/name", 2, {"HF_ENDPOINT"});
  refuses("HF_HUB_CACHE=/proc/models glossa pull org/name", 4, {"/proc/models"});
  hub.change_answer = [](Json& answer) { answer["siblings"][0]["rfilename"] = "../../x"; };
  refuses("glossa pull org/name", 3, {"../../x"});
  EXPECT_FALSE(fs::exists(folder() / "hf/hub/models--org--name"));
}

TEST_F(HubCommands, K13_CtrlCKeepsWhatCameAndTheSameCommandGoesOn) {
  std::atomic<bool> slow = true;
  hub.at_storage = [&](const Request&, Connection& out) {
    if (!slow) return false;
    const std::string& all = hub.large["model.safetensors"];
    out.write(fmt::format("HTTP/1.1 200 -\r\nContent-Length: {}\r\n\r\n", all.size()));
    out.write(all.substr(0, all.size() / 2));
    for (int i = 0; slow && i < 100; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return true;
  };
  const Outcome stopped = run("(exec " GLOSSA_PROGRAM " pull org/name) & while ! ls hf/hub/models--org--name/blobs/*.incomplete; do sleep 0.05; done >/dev/null 2>&1; "
                              "sleep 0.3; kill -INT $!; wait $!");
  slow = false;
  EXPECT_EQ(stopped.status, 75) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("the same command goes on"));
  EXPECT_FALSE(fs::exists(folder() / "hf/hub/models--org--name/refs"));
  const Outcome done = run("glossa pull org/name");
  EXPECT_EQ(done.status, 0) << done.err;
  EXPECT_THAT(done.err, HasSubstr("going on from byte"));
  EXPECT_EQ(hub.storage.requests().back().header("range"), fmt::format("bytes={}-", hub.large["model.safetensors"].size() / 2));
}

TEST_F(HubCommands, K18_TheTokenIsReadFromItsFileAndShownNowhere) {
  const Outcome o = run("mkdir -p hf && echo hf_secret > hf/token && glossa pull org/name && glossa pull org/absent");
  EXPECT_EQ(o.status, 4);
  EXPECT_EQ(hub.endpoint.requests()[0].header("authorization"), "Bearer hf_secret");
  for (const Request& r : hub.storage.requests()) EXPECT_EQ(r.header("authorization"), "");
  EXPECT_THAT(o.out + o.err, Not(HasSubstr("hf_secret")));
}

TEST_F(HubCommands, AFileOfThisMachineHasADigest) {
  put("own-Q8_0.gguf", "no model");
  const std::string digest = sha256(as_bytes("no model"));
  refuses("glossa pull own/model --from-file own-Q8_0.gguf --sha256 " + std::string(64, '0'), 3, {"own-Q8_0.gguf", digest});
  const Outcome o = run("glossa pull own/model --from-file own-Q8_0.gguf --sha256 " + digest);
  EXPECT_EQ(o.status, 0) << o.err;
  EXPECT_THAT(o.out, HasSubstr("own-Q8_0.gguf"));
  EXPECT_THAT(run("glossa models").out, AllOf(HasSubstr("own/model"), HasSubstr("GGUF Q8_0"), HasSubstr("unreadable")));
  refuses("glossa generate -m own/model -p x", 3, {"own-Q8_0.gguf"});
  refuses("glossa pull own/model:Q8_0 --from-file own-Q8_0.gguf", 2, {"--from-file"});
  refuses("glossa pull own/model --from-file absent", 4, {"absent"});
  EXPECT_TRUE(hub.endpoint.requests().empty());
}

}  // namespace
}  // namespace glossa::test
