// fake_hub.h -- the hub as a test has it: one repository behind an endpoint, whose large files lie on another
// server.
#pragma once
#include <functional>
#include <map>
#include <string>

#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"
#include "hub/settings.h"
#include "server.h"
#include "support/environment.h"
#include "support/in_folder.h"

namespace glossa::test {

inline const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";

inline std::string git_digest(const std::string& content) {
  Digest digest(Digest::Kind::sha1);
  const std::string header = fmt::format("blob {}", content.size());
  digest.update(as_bytes({header.c_str(), header.size() + 1}));
  digest.update(as_bytes(content));
  return digest.hexadecimal();
}

// A body with Range as servers do it.
inline void send_content(const Request& request, Connection& out, const std::string& headers,
                         const std::string& content) {
  const std::string range = request.header("range");
  if (!range.starts_with("bytes=")) return out.reply(200, headers, content);
  const std::size_t from = std::stoul(range.substr(6));
  if (from >= content.size()) return out.reply(416, headers, "");
  out.reply(
      206,
      headers + fmt::format("Content-Range: bytes {}-{}/{}\r\n", from, content.size() - 1, content.size()),
      content.substr(from));
}

class FakeHub {
 public:
  using Intercept = std::function<bool(const Request&, Connection&)>;  // true: it has answered

  std::map<std::string, std::string> files, large;  // name to content
  Intercept at_endpoint = [](const Request&, Connection&) { return false; }, at_storage = at_endpoint;
  bool says_blobs = true;  // sizes and digests in the list of files
  std::function<void(Json&)> change_answer = [](Json&) {};

  Server storage{[this](const Request& request, Connection& out) {
    if (at_storage(request, out)) return;
    const auto it = large.find(request.target.substr(1, request.target.find('?') - 1));
    if (it == large.end()) return out.reply(404, "", "");
    send_content(request, out, "ETag: \"of-the-storage\"\r\n", it->second);
  }};
  Server endpoint{[this](const Request& request, Connection& out) { answer(request, out); }};

  std::string api() const {
    Json siblings = Json::array();
    for (const auto& [name, content] : files) {
      siblings.push_back({{"rfilename", name}});
      if (says_blobs) siblings.back().update({{"size", content.size()}, {"blobId", git_digest(content)}});
    }
    for (const auto& [name, content] : large) {
      siblings.push_back({{"rfilename", name}});
      const Json lfs{{"sha256", sha256(as_bytes(content))}, {"size", content.size()}, {"pointerSize", 130}};
      if (says_blobs)
        siblings.back().update({{"size", content.size()}, {"blobId", git_digest("pointer")}, {"lfs", lfs}});
    }
    Json answer{{"id", "org/name"}, {"sha", kCommit}, {"private", false}, {"siblings", siblings}};
    change_answer(answer);
    return answer.dump();
  }

 private:
  void answer(const Request& request, Connection& out) {
    if (at_endpoint(request, out)) return;
    if (request.target.starts_with("/api/models/org/name/revision/"))
      return out.reply(200, "Content-Type: application/json\r\n", api());
    const std::string prefix = "/org/name/resolve/" + kCommit + "/";
    const std::string name = request.target.starts_with(prefix) ? request.target.substr(prefix.size()) : "";
    const std::string commit = "X-Repo-Commit: " + kCommit + "\r\n";
    if (const auto it = files.find(name); it != files.end()) {
      const std::string headers = commit + "ETag: \"" + git_digest(it->second) + "\"\r\n";
      if (request.method == "HEAD")
        return out.write(
            fmt::format("HTTP/1.1 200 -\r\n{}Content-Length: {}\r\n\r\n", headers, it->second.size()));
      return send_content(request, out, headers, it->second);
    }
    if (const auto it = large.find(name); it != large.end())
      return out.reply(
          302,
          commit + fmt::format(
                       "X-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\nLocation: {}/{}?signature=secret\r\n",
                       sha256(as_bytes(it->second)), it->second.size(), storage.url(), name),
          "");
    out.reply(404, "X-Error-Message: Entry not found\r\n", "Entry not found");
  }
};

class WithHub : public InFolder {
 protected:
  void SetUp() override {
    InFolder::SetUp();
    for (const char* name :
         {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"})
      environment.set(name, nullptr);
    settings.cache = folder / "cache";
    settings.endpoint = hub.endpoint.url();
    settings.patience.pause = std::chrono::milliseconds(1);
    hub.files = {{"config.json", "{\"model_type\": \"llama\"}"},
                 {"tokenizer.json", "{}"},
                 {"README.md", "# a model"},
                 {"empty", ""}};
    hub.large = {{"model.safetensors", std::string(300'000, 'w') + "end"}};
  }
  // How often the endpoint or the storage was asked for something whose target holds `part`.
  static int asked(const Server& server, const std::string& part) {
    int n = 0;
    for (const Request& r : server.requests()) n += r.target.find(part) != r.target.npos;
    return n;
  }
  Environment environment;
  FakeHub hub;
  HubSettings settings;
};

}  // namespace glossa::test
