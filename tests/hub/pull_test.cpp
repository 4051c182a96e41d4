#include "hub/pull.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>

#include <atomic>
#include <thread>

#include "fake_hub.h"
#include "support/error_of.h"

namespace glossa::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class Pull : public WithHub {
 protected:
  PulledModel pulled(const std::string& name = "org/name") {
    PullOptions options{.name = ModelName::parse(name), .revision = revision, .selection = selection};
    options.hooks.note = [this](std::string_view line) { notes.emplace_back(line); };
    options.hooks.stop = stop;
    return pull(settings, std::move(options));
  }
  std::string refused(const std::string& name = "org/name") {
    return error_of([&] { pulled(name); });
  }
  fs::path blob(const std::string& name) const {
    const bool is_large = hub.large.contains(name);
    return settings.cache / "models--org--name/blobs" /
           (is_large ? sha256(as_bytes(hub.large.at(name))) : git_digest(hub.files.at(name)));
  }
  std::string revision = "main";
  Selection selection;
  std::function<bool()> stop = [] { return false; };
  std::vector<std::string> notes;
};

TEST_F(Pull, WritesTheLayoutOfTheLibrary) {
  const PulledModel model = pulled();
  EXPECT_EQ(model.commit, kCommit);
  EXPECT_THAT(model.files, ElementsAre("config.json", "model.safetensors", "tokenizer.json"));
  const fs::path root = settings.cache / "models--org--name";
  EXPECT_EQ(model.path, root / "snapshots" / kCommit);
  EXPECT_EQ(read_file(root / "refs/main"), kCommit);
  EXPECT_EQ(fs::read_symlink(model.path / "config.json"),
            "../../blobs/" + git_digest(hub.files["config.json"]));
  EXPECT_EQ(fs::read_symlink(model.path / "model.safetensors"),
            "../../blobs/" + sha256(as_bytes(hub.large["model.safetensors"])));
  EXPECT_EQ(read_file(model.path / "model.safetensors"), hub.large["model.safetensors"]);
  EXPECT_TRUE(fs::exists(settings.cache / ".locks/models--org--name" /
                         (sha256(as_bytes(hub.large["model.safetensors"])) + ".lock")));
  EXPECT_FALSE(fs::exists(settings.cache / ".locks/models--org--name/LOCK"));
  for (const auto& entry : fs::directory_iterator(root / "blobs"))
    EXPECT_NE(entry.path().extension(), ".incomplete");
}

TEST_F(Pull, FetchesNothingTwice) {
  pulled();
  const int before = asked(hub.endpoint, "/resolve/");
  EXPECT_EQ(pulled().fetched, 0u);
  EXPECT_EQ(asked(hub.endpoint, "/resolve/"), before);
}

TEST_F(Pull, ANewCommitSharesWhatDidNotChange) {
  pulled();
  const std::string next(40, 'a');
  hub.change_answer = [&](Json& answer) { answer["sha"] = next; };
  EXPECT_EQ(pulled().fetched, 0u);
  EXPECT_EQ(read_file(settings.cache / "models--org--name/refs/main"), next);
  EXPECT_EQ(HubCache(settings.cache).list().size(), 2u);
}

TEST_F(Pull, AllFilesAndPatterns) {
  hub.files["sub/folder/note.txt"] = "far down";
  selection.all = true;
  EXPECT_EQ(pulled().files.size(), 6u);
  EXPECT_EQ(
      fs::read_symlink(settings.cache / "models--org--name/snapshots" / kCommit / "sub/folder/note.txt"),
      "../../../../blobs/" + git_digest("far down"));
  EXPECT_EQ(read_file(settings.cache / "models--org--name/snapshots" / kCommit / "empty"), "");
  selection = {.include = {"*.json"}, .exclude = {"tok*"}};
  EXPECT_THAT(pulled().files, ElementsAre("config.json"));
}

TEST_F(Pull, TheTokenGoesToTheEndpointAlone) {
  settings.token = "hf_secret";
  pulled();
  for (const Request& r : hub.endpoint.requests())
    EXPECT_EQ(r.header("authorization"), "Bearer hf_secret") << r.target;
  EXPECT_GT(hub.storage.requests().size(), 0u);
  for (const Request& r : hub.storage.requests()) EXPECT_EQ(r.header("authorization"), "") << r.target;
}

TEST_F(Pull, NoMessageShowsTheTokenOrASignedAddress) {
  settings.token = "hf_secret";
  settings.patience.attempts = 2;
  hub.at_storage = [](const Request&, Connection& out) {
    return out.write("HTTP/1.1 200 -\r\nContent-Length: 300003\r\n\r\nshort"), true;
  };
  std::string all = refused();
  for (const std::string& line : notes) all += line;
  EXPECT_THAT(all, AllOf(HasSubstr("E4006"), Not(HasSubstr("hf_secret")), Not(HasSubstr("signature"))));
}

TEST_F(Pull, ARevisionIsEscapedInTheAddressAndKeptAsARef) {
  revision = "refs/pr/1";
  pulled();
  EXPECT_EQ(asked(hub.endpoint, "/revision/refs%2Fpr%2F1?blobs=true"), 1);
  EXPECT_EQ(read_file(settings.cache / "models--org--name/refs/refs/pr/1"), kCommit);
  EXPECT_FALSE(fs::exists(settings.cache / "models--org--name/refs/main"));
  for (const char* bad : {"../main", "/main", "a//b", "a\nb", ""}) {
    revision = bad;
    EXPECT_THAT(refused(), StartsWith("E2002"));
  }
}

TEST_F(Pull, AsksForDigestsThatTheListDoesNotSay) {
  hub.says_blobs = false;
  pulled();
  EXPECT_TRUE(fs::exists(blob("config.json")));
  EXPECT_TRUE(fs::exists(blob("model.safetensors")));
  hub.at_endpoint = [](const Request& r, Connection& out) {
    if (r.method != "HEAD") return false;
    return out.write("HTTP/1.1 200 -\r\nETag: \"12345\"\r\nContent-Length: 1\r\n\r\n"), true;
  };
  EXPECT_THAT(refused(), AllOf(StartsWith("E3501"), HasSubstr("could not be verified")));
}

// ---- what breaks off and goes on

TEST_F(Pull, ADroppedConnectionIsResumedFromItsByte) {
  int drops = 0;
  hub.at_storage = [&](const Request& r, Connection& out) {
    if (drops++ == 3) return false;
    const std::string range = r.header("range");
    const std::size_t from = range.empty() ? 0 : std::stoul(range.substr(6));
    const std::string rest = hub.large["model.safetensors"].substr(from);
    out.write(from ? fmt::format("HTTP/1.1 206 -\r\nContent-Range: bytes {}-{}/300003\r\nETag: "
                                 "\"of-the-storage\"\r\nContent-Length: {}\r\n\r\n",
                                 from, 300'002, rest.size())
                   : fmt::format("HTTP/1.1 200 -\r\nETag: \"of-the-storage\"\r\nContent-Length: {}\r\n\r\n",
                                 rest.size()));
    out.write(rest.substr(0, 70'000));
    return true;
  };
  pulled();
  std::vector<std::string> ranges, conditions;
  for (const Request& r : hub.storage.requests())
    ranges.push_back(r.header("range")), conditions.push_back(r.header("if-range"));
  EXPECT_THAT(ranges, ElementsAre("", "bytes=70000-", "bytes=140000-", "bytes=210000-"));
  EXPECT_THAT(conditions, ElementsAre("", "\"of-the-storage\"", "\"of-the-storage\"", "\"of-the-storage\""));
}

TEST_F(Pull, AnAnswerWithoutALengthThatEndsEarlyIsResumed) {
  bool first = true;
  hub.at_storage = [&](const Request&, Connection& out) {
    return std::exchange(first, false) && (out.write("HTTP/1.0 200 -\r\n\r\nwww"), true);
  };
  pulled();
  EXPECT_EQ(hub.storage.requests().back().header("range"), "bytes=3-");
}

TEST_F(Pull, AServerWithoutRangesBeginsAnew) {
  int tries = 0;
  hub.at_storage = [&](const Request&, Connection& out) {
    const std::string& all = hub.large["model.safetensors"];
    out.write(fmt::format("HTTP/1.1 200 -\r\nContent-Length: {}\r\n\r\n", all.size()));
    out.write(all.substr(0, tries++ ? all.size() : 1000));
    return true;
  };
  EXPECT_EQ(read_file(pulled().path / "model.safetensors"), hub.large["model.safetensors"]);
}

TEST_F(Pull, AServerThatNeverGetsFurtherIsGivenUp) {
  hub.at_storage = [&](const Request&, Connection& out) {
    return out.write("HTTP/1.1 200 -\r\nContent-Length: 300003\r\n\r\nwww"), true;
  };
  EXPECT_THAT(refused(), AllOf(StartsWith("E4006"), HasSubstr("5 times in a row")));
  EXPECT_EQ(hub.storage.requests().size(), 5u);
}

TEST_F(Pull, WhatIsIncompleteIsGoneOnWith) {
  fs::create_directories(settings.cache / "models--org--name/blobs");
  const std::string& all = hub.large["model.safetensors"];
  std::ofstream(blob("model.safetensors").native() + ".incomplete") << all.substr(0, 1234);
  EXPECT_EQ(pulled().fetched,
            hub.files["config.json"].size() + hub.files["tokenizer.json"].size() + all.size() - 1234);
  EXPECT_EQ(hub.storage.requests()[0].header("range"), "bytes=1234-");
  EXPECT_EQ(read_file(blob("model.safetensors")), all);
}

TEST_F(Pull, ADamagedPartIsThrownAwayAndFetchedOnceMore) {
  fs::create_directories(settings.cache / "models--org--name/blobs");
  std::ofstream(blob("model.safetensors").native() + ".incomplete") << std::string(1234, 'x');
  pulled();
  EXPECT_EQ(hub.storage.requests().size(), 2u);
  EXPECT_EQ(hub.storage.requests()[1].header("range"), "");
  EXPECT_EQ(read_file(blob("model.safetensors")), hub.large["model.safetensors"]);
  EXPECT_THAT(notes, testing::Contains(HasSubstr("is damaged")));
}

TEST_F(Pull, APartThatIsTooLongOrWhollyThereIsNoTrouble) {
  fs::create_directories(settings.cache / "models--org--name/blobs");
  std::ofstream(blob("model.safetensors").native() + ".incomplete") << std::string(400'000, 'x');
  std::ofstream(blob("config.json").native() + ".incomplete") << hub.files["config.json"];
  pulled();
  EXPECT_EQ(asked(hub.endpoint, "/config.json"), 0);
  EXPECT_EQ(read_file(blob("model.safetensors")), hub.large["model.safetensors"]);
}

TEST_F(Pull, ABlobOfAnotherSizeIsFetchedAgain) {
  pulled();
  fs::resize_file(blob("model.safetensors"), 10);
  pulled();
  EXPECT_EQ(read_file(blob("model.safetensors")), hub.large["model.safetensors"]);
}

TEST_F(Pull, ALinkInThePlaceOfAPartIsNotFollowed) {
  fs::create_directories(settings.cache / "models--org--name/blobs");
  put("victim", "mine");
  fs::create_symlink(folder / "victim", blob("model.safetensors").native() + ".incomplete");
  EXPECT_THAT(refused(), StartsWith("E4001"));
  EXPECT_EQ(read_file(folder / "victim"), "mine");
}

TEST_F(Pull, K13_StoppedItKeepsWhatCameAndGoesOn) {
  std::atomic<bool> asked_to_stop = false, slow = true;
  hub.at_storage = [&](const Request&, Connection& out) {
    if (!slow.exchange(false)) return false;
    out.write("HTTP/1.1 200 -\r\nContent-Length: 300003\r\n\r\n" +
              hub.large["model.safetensors"].substr(0, 100'000));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));  // for what was written to arrive
    asked_to_stop = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    return true;
  };
  stop = [&] { return asked_to_stop.load(); };
  EXPECT_THAT(refused(), StartsWith("E75000"));
  EXPECT_FALSE(
      fs::exists(settings.cache / "models--org--name/snapshots"));  // nobody takes a part for the model
  EXPECT_FALSE(fs::exists(settings.cache / "models--org--name/refs"));
  asked_to_stop = false;
  pulled();
  EXPECT_THAT(hub.storage.requests().back().header("range"), StartsWith("bytes="));
  EXPECT_EQ(read_file(blob("model.safetensors")), hub.large["model.safetensors"]);
}

// ---- what servers say

TEST_F(Pull, StatusesThatPassAreWaitedFor) {
  int left = 3;
  hub.at_endpoint = [&](const Request&, Connection& out) {
    if (left == 0) return false;
    const int statuses[] = {503, 500, 429};
    --left;
    out.reply(statuses[left], left == 2 ? "Retry-After: 1\r\n" : "", "later");
    return true;
  };
  const auto begin = std::chrono::steady_clock::now();
  pulled();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_EQ(notes.size(), 3u);
  EXPECT_THAT(notes[0], HasSubstr("429"));
}

TEST_F(Pull, AServerThatAsksForTooLongAWaitIsNotWaitedFor) {
  hub.at_endpoint = [&](const Request&, Connection& out) {
    return out.reply(429, "Retry-After: 86400\r\n", ""), true;
  };
  EXPECT_THAT(refused(), AllOf(StartsWith("E4006"), HasSubstr("86400 seconds")));
}

TEST_F(Pull, RefusalsSayWhatToDo) {
  int status = 0;
  std::string headers;
  hub.at_endpoint = [&](const Request&, Connection& out) {
    return out.reply(status, headers, "<html>"), true;
  };
  status = 401;
  EXPECT_THAT(refused(),
              AllOf(StartsWith("E4006"), HasSubstr("org/name"), HasSubstr("HF_TOKEN"), HasSubstr("licence")));
  settings.token = "hf_x";
  EXPECT_THAT(refused(), AllOf(StartsWith("E4006"), HasSubstr("HF_TOKEN"), Not(HasSubstr("hf_x"))));
  status = 403;
  headers = "X-Error-Message: Access to model org/name is restricted \x1b[31m\r\n";
  EXPECT_THAT(refused(), AllOf(HasSubstr("accept the model's licence at " + settings.endpoint + "/org/name"),
                               HasSubstr("\\x1b")));
  status = 404, headers = "X-Error-Message: Repository not found\r\n";
  EXPECT_THAT(refused(), AllOf(StartsWith("E4006"), HasSubstr("Repository not found")));
  status = 418;
  EXPECT_THAT(refused(), AllOf(StartsWith("E4006"), HasSubstr("418")));
  status = 502;
  EXPECT_THAT(refused(), AllOf(StartsWith("E4006"), HasSubstr("502")));
  EXPECT_EQ(hub.endpoint.requests().size(), 10u);  // the last one five times
}

TEST_F(Pull, ASecondWrongDigestIsRefused) {
  hub.at_storage = [&](const Request& r, Connection& out) {
    return send_content(r, out, "", std::string(300'003, 'v')), true;
  };
  EXPECT_THAT(refused(), AllOf(StartsWith("E3501"), HasSubstr("twice"), HasSubstr("model.safetensors")));
  EXPECT_EQ(hub.storage.requests().size(), 2u);
  EXPECT_FALSE(fs::exists(settings.cache / "models--org--name/refs"));
  EXPECT_FALSE(fs::exists(blob("model.safetensors")));
}

TEST_F(Pull, OtherSizesThanAnnouncedAreRefused) {
  const std::string& all = hub.large["model.safetensors"];
  hub.at_storage = [&](const Request&, Connection& out) { return out.reply(200, "", all + "more"), true; };
  EXPECT_THAT(refused(), AllOf(StartsWith("E3501"), HasSubstr("300007"), HasSubstr("300003")));
  hub.at_storage = [&](const Request&, Connection& out) {
    return out.write("HTTP/1.0 200 -\r\n\r\n" + all + "more"), true;
  };
  EXPECT_THAT(refused(), AllOf(StartsWith("E3501"), HasSubstr("more than the 300003 bytes")));
  EXPECT_FALSE(fs::exists(settings.cache / "models--org--name/refs"));
}

TEST_F(Pull, HeadersThatContradictTheListAreRefused) {
  std::string headers;
  hub.at_endpoint = [&](const Request& r, Connection& out) {
    if (r.target.find("config.json") == r.target.npos) return false;
    return out.reply(200, headers, hub.files["config.json"]), true;
  };
  headers = "X-Repo-Commit: " + std::string(40, 'f') + "\r\n";
  EXPECT_THAT(refused(), AllOf(StartsWith("E3501"), HasSubstr("X-Repo-Commit")));
  headers = "X-Linked-Etag: \"" + std::string(64, 'f') + "\"\r\n";
  EXPECT_THAT(refused(), AllOf(StartsWith("E3501"), HasSubstr("X-Linked-Etag")));
  headers = "X-Linked-Size: 7\r\n";
  EXPECT_THAT(refused(), AllOf(StartsWith("E3501"), HasSubstr("X-Linked-Size")));
  headers = "Content-Encoding: gzip\r\n";
  EXPECT_THAT(refused(), AllOf(StartsWith("E3501"), HasSubstr("gzip")));
}

TEST_F(Pull, AnotherRangeThanAskedForIsRefused) {
  fs::create_directories(settings.cache / "models--org--name/blobs");
  std::ofstream(blob("model.safetensors").native() + ".incomplete") << std::string(10, 'w');
  hub.at_storage = [&](const Request&, Connection& out) {
    return out.reply(206, "Content-Range: bytes 0-2/300003\r\n", "www"), true;
  };
  EXPECT_THAT(refused(), AllOf(StartsWith("E3501"), HasSubstr("Content-Range")));
}

TEST_F(Pull, C13_NamesThatLeadElsewhereAreRefused) {
  for (const char* name :
       {"../../x", "/etc/passwd", "a/../../b", "./a", "a//b", "a\\b", "a\nb", "", "..", "a/."}) {
    hub.change_answer = [&](Json& answer) { answer["siblings"][0]["rfilename"] = name; };
    EXPECT_THAT(refused(), StartsWith("E3501")) << name;
  }
  EXPECT_FALSE(fs::exists(settings.cache));
}

TEST_F(Pull, HugeAnswersAreRefused) {
  hub.at_endpoint = [&](const Request&, Connection& out) {
    out.write("HTTP/1.0 200 -\r\n\r\n{\"a\": \"");
    const std::string megabyte(1 << 20, 'a');
    for (int i = 0; i < 40; ++i) out.write(megabyte);
    return true;
  };
  EXPECT_THAT(refused(), AllOf(StartsWith("E5002"), HasSubstr("33554432")));
}

TEST_F(Pull, AFullDiskIsSeenBeforehand) {
  hub.change_answer = [](Json& answer) {
    for (Json& file : answer["siblings"])
      if (file.contains("lfs")) file["lfs"]["size"] = 1ull << 49;
  };
  EXPECT_THAT(refused(), AllOf(StartsWith("E4003"), HasSubstr("562949953421")));
  EXPECT_EQ(asked(hub.endpoint, "/resolve/"), 0);
}

// ---- two at once, and none

TEST_F(Pull, K19_ASecondPullOfTheModelIsRefused) {
  const RepositoryName name = RepositoryName::parse("org/name");
  fs::create_directories(HubCache(settings.cache).locks(name));
  {
    const DirectoryLock lock(HubCache(settings.cache).locks(name));
    EXPECT_THAT(refused(), StartsWith("E7001"));
  }
  const fs::path path =
      HubCache(settings.cache).locks(name) / (blob("config.json").filename().native() + ".lock");
  {
    const BlobLock lock(path, "config.json");  // as the library holds it
    EXPECT_THAT(refused(), AllOf(StartsWith("E7001"), HasSubstr("config.json")));
  }
  pulled();
}

TEST_F(Pull, OfflineTheHubIsNotAsked) {
  settings.offline = true;
  EXPECT_THAT(refused(), AllOf(StartsWith("E4001"), HasSubstr("--offline")));
  settings.offline = false;
  const PulledModel first = pulled();
  const std::size_t before = hub.endpoint.requests().size();
  settings.offline = true;
  const PulledModel second = pulled();
  EXPECT_EQ(second.path, first.path);
  EXPECT_EQ(second.files, first.files);
  EXPECT_EQ(second.bytes, first.bytes);
  EXPECT_EQ(hub.endpoint.requests().size(), before);
}

TEST_F(Pull, OneGgufFileIsThePath) {
  hub.files = {{"README.md", "x"}};
  hub.large = {{"name-Q4_K_M.gguf", "four"},
               {"name-Q8_0-00001-of-00002.gguf", "eight"},
               {"name-Q8_0-00002-of-00002.gguf", "more"}};
  EXPECT_EQ(pulled().path.filename(), "name-Q4_K_M.gguf");
  const PulledModel eight = pulled("org/name:q8_0");
  EXPECT_EQ(eight.path.filename(), "name-Q8_0-00001-of-00002.gguf");
  EXPECT_THAT(eight.files, ElementsAre("name-Q8_0-00001-of-00002.gguf", "name-Q8_0-00002-of-00002.gguf"));
  EXPECT_THAT(refused("org/name:Q5_0"), AllOf(StartsWith("E2002"), HasSubstr("Q4_K_M, Q8_0")));
}

// ---- files of this machine

TEST_F(Pull, AFileOfThisMachineIsPutThereWithItsDigest) {
  const fs::path file = put("own-Q8_0.gguf", "weights");
  const std::string digest = sha256(as_bytes("weights"));
  const RepositoryName name = RepositoryName::parse("own/model");
  EXPECT_THAT(error_of([&] { import_file(HubCache(settings.cache), name, file, std::string(64, '0')); }),
              AllOf(StartsWith("E3501"), HasSubstr(digest)));
  EXPECT_TRUE(HubCache(settings.cache).list().empty());
  const PulledModel model = import_file(HubCache(settings.cache), name, file, digest);
  EXPECT_EQ(read_file(model.path), "weights");
  EXPECT_EQ(cached_model(HubCache(settings.cache), ModelName::parse("own/model")), model.path);
  import_file(HubCache(settings.cache), name, put("config.json", "{}"), "");
  const auto all = HubCache(settings.cache).list();
  ASSERT_EQ(all.size(), 1u);  // one snapshot, with both
  EXPECT_EQ(all[0].files.size(), 2u);
  EXPECT_THAT(all[0].refs, ElementsAre("main"));
  EXPECT_EQ(import_file(HubCache(settings.cache), name, file, digest).commit, all[0].commit);  // again is nothing new
}

TEST_F(Pull, AFileOfThisMachineIsNotPutIntoACommitOfTheHub) {
  pulled();
  EXPECT_THAT(error_of([&] { import_file(HubCache(settings.cache), RepositoryName::parse("org/name"), put("x", "y"), ""); }),
              AllOf(StartsWith("E2003"), HasSubstr(kCommit)));
}

}  // namespace
}  // namespace glossa::test
