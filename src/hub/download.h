// download.h -- one blob of the cache from an address: resumed where it stopped, compared with its digest, there as a whole
// or not at all.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "hub/blob.h"
#include "hub/cache.h"
#include "hub/http.h"
#include "hub/repository.h"

namespace glossa {

struct HubHooks {
  std::function<void(std::string_view)> note = [](std::string_view) {};
  // Bytes of the file at work that are here, of how many.
  std::function<void(const RemoteFile& file, std::uint64_t done)> progress = [](const RemoteFile&, std::uint64_t) {};
  std::function<bool()> stop = [] { return false; };
};

// Asks one server about one repository. What may pass -- dropped connections, slow ones, 408, 429 and 5xx -- is tried again
// after growing pauses, or after what Retry-After says; bytes that are here are not fetched again. Not for several threads.
class HubConnection {
 public:
  HubConnection(const HubSettings& settings, RepositoryName name, const HubHooks& hooks);

  // Error(network) with what to do about it: no such model, a licence to accept, a server that cannot be reached.
  // Error(hub_answer) for an answer that is none. Error(stopped) if the hook says so.
  RemoteRepository repository(const std::string& revision, const Limits& limits = {});
  // Asks for size and digest where the list of files did not say them.
  void complete(RemoteFile& file, const std::string& commit);
  // Fetches a file into its blob, unless it is there. A blob that comes with another digest is thrown away, and fetched
  // once more; then Error(hub_answer). Error(locked) while another process fetches it.
  void fetch(const RemoteFile& file, const std::string& commit, const HubCache& cache);

 private:
  // Sends until an answer has come whole, or what is wrong will not pass. `gained` is what attempts have brought so far: one
  // that brings more is the first of a new count.
  HttpResponse ask(const std::function<HttpResponse()>& send, std::string_view what,
                   const std::function<std::uint64_t()>& gained);
  void wait(const HttpResponse& response, int attempt, std::string_view what) const;
  void check_status(const HttpResponse& response, std::string_view what) const;
  void check_headers(const HttpResponse& response, const RemoteFile& file, const std::string& commit) const;
  void fetch_rest(const RemoteFile& file, const std::string& commit, IncompleteBlob& blob);
  std::string address(const std::string& commit, const std::string& file) const;
  std::string shown_name(const RemoteFile& file) const;

  const HubSettings& settings_;
  RepositoryName name_;
  const HubHooks& hooks_;
  HttpClient client_;
};

// Bytes of a file that are still to come: none if the blob is there, less those of what is incomplete.
std::uint64_t missing_bytes(const HubCache& cache, const RepositoryName& name, const RemoteFile& file);

// Puts a file of this machine into the cache as a blob, and returns its SHA-256. Error(hub_answer) if that is not `sha256`,
// where one is given; then nothing stays.
std::string import_blob(const HubCache& cache, const RepositoryName& name, const fs::path& file, const std::string& sha256);

}  // namespace glossa
