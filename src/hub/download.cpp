#include "hub/download.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"

namespace glossa {
namespace {

constexpr auto kNap = std::chrono::milliseconds(50);  // between looks at whether to stop
constexpr std::size_t kChunk = 1 << 20;

bool may_pass(long status) {
  return status == 408 || status == 429 || status >= 500;
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "abc" or W/"abc" as abc.
std::string bare(std::string tag) {
  if (tag.starts_with("W/")) tag.erase(0, 2);
  if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') tag = tag.substr(1, tag.size() - 2);
  return tag;
}

std::uint64_t size_at(const fs::path& path) {
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  return error ? 0 : size;
}

bool is_there(const fs::path& blob, std::uint64_t size) {
  std::error_code error;
  return fs::is_regular_file(blob, error) && size_at(blob) == size;
}

}  // namespace

HubConnection::HubConnection(const HubSettings& settings, RepositoryName name, const HubHooks& hooks)
    : settings_(settings), name_(std::move(name)), hooks_(hooks), client_(settings, hooks.stop) {}

std::string HubConnection::address(const std::string& commit, const std::string& file) const {
  return fmt::format("{}/{}/resolve/{}/{}", settings_.endpoint, name_.text(), commit,
                     url_escaped(file, true));
}

void HubConnection::check_status(const HttpResponse& response, std::string_view what) const {
  const long status = response.status;
  if (status == 200 || status == 206) return;
  const std::string& said = response.header("x-error-message");
  const std::string words =
      said.empty() ? fmt::format("{}", status) : fmt::format("{}, {}", status, quoted(said));
  const std::string page = settings_.endpoint + "/" + name_.text();
  if (status == 401 && settings_.token.empty())
    fail(Code::network,
         "{}: refused ({}): there is no such model, or it is private or its licence must be accepted at {}; "
         "then HF_TOKEN names who asks",
         what, words, page);
  if (status == 401 || status == 403)
    fail(Code::network,
         "{}: refused ({}): accept the model's licence at {}, and set HF_TOKEN to a token that may read it",
         what, words, page);
  if (status == 404) fail(Code::network, "{}: is not at {} ({})", what, settings_.endpoint, words);
  fail(Code::network, "{}: {} answers with {}", what, settings_.endpoint, words);
}

void HubConnection::wait(const HttpResponse& response, int attempt, std::string_view what) const {
  auto pause = settings_.patience.pause * (1 << std::min(attempt - 1, 10));
  if (const auto asked = number_of(response.header("retry-after"))) {
    const auto longest = static_cast<std::uint64_t>(settings_.patience.longest_pause.count());
    check(*asked <= longest, Code::network, "{}: {} answers with {} and asks to come back in {} seconds",
          what, settings_.endpoint, response.status, *asked);
    pause = std::max<std::chrono::milliseconds>(pause, std::chrono::seconds(*asked));
  }
  const std::string cause = response.failure.empty()
                                ? fmt::format("{} answers with {}", settings_.endpoint, response.status)
                                : response.failure;
  hooks_.note(fmt::format("{}: {}; trying again in {:.0f} s", what, cause,
                          std::chrono::duration<double>(pause).count()));
  const auto until = std::chrono::steady_clock::now() + pause;
  while (std::chrono::steady_clock::now() < until && !hooks_.stop())
    std::this_thread::sleep_for(
        std::min<std::chrono::steady_clock::duration>(kNap, until - std::chrono::steady_clock::now()));
}

HttpResponse HubConnection::ask(const std::function<HttpResponse()>& send, std::string_view what,
                                const std::function<std::uint64_t()>& gained) {
  std::uint64_t most = gained();
  for (int attempt = 1;; ++attempt) {
    const HttpResponse response = send();
    check(!response.stopped && !hooks_.stop(), Code::stopped,
          "{}: stopped; the same command goes on from there", what);
    const bool passing = response.failure.empty() ? may_pass(response.status) : response.passing;
    if (gained() > most) attempt = 1, most = gained();
    if (!passing || attempt >= settings_.patience.attempts) {
      check(response.failure.empty(), Code::network, "{}: {}{}", what, response.failure,
            passing ? fmt::format(", {} times in a row", attempt) : "");
      return response;
    }
    wait(response, attempt, what);
  }
}

RemoteRepository HubConnection::repository(const std::string& revision, const Limits& limits) {
  const std::string what = fmt::format("{}, revision {}", name_.text(), quoted(revision));
  std::string text;
  HttpRequest request;
  request.url = fmt::format("{}/api/models/{}/revision/{}?blobs=true", settings_.endpoint, name_.text(),
                            url_escaped(revision, false));
  request.begin = [&](const HttpResponse&) { text.clear(); };
  request.body = [&](Bytes bytes) {
    check(text.size() + bytes.size() <= limits.hub_answer_bytes, Code::size,
          "{}: the answer of {} has more than {} bytes", what, settings_.endpoint, limits.hub_answer_bytes);
    text += as_text(bytes);
  };
  check_status(ask([&] { return client_.send(request); }, what, [] { return 0; }), what);
  return parse_repository(text, fmt::format("{} of {}", settings_.endpoint, name_.text()), limits);
}

void HubConnection::complete(RemoteFile& file, const std::string& commit) {
  if (file.size && !file.digest.empty()) return;
  const std::string what = shown_name(file);
  HttpRequest request;
  request.url = address(commit, file.name);
  request.head = true;
  const HttpResponse response = ask([&] { return client_.send(request); }, what, [] { return 0; });
  // A redirect to where a large file lies says all of it already.
  const std::string& linked = response.header("x-linked-etag");
  const bool leads_elsewhere = response.status >= 300 && response.status < 400;
  if (linked.empty() || !leads_elsewhere) check_status(response, what);
  file.digest = bare(linked.empty() ? response.header("etag") : linked);
  file.size =
      number_of(linked.empty() ? response.header("content-length") : response.header("x-linked-size"));
  check(is_digest(file.digest), Code::hub_answer,
        "{}: {} sends no digest of it (its ETag is {}), so that it could not be verified", what,
        settings_.endpoint, quoted(file.digest));
  check(file.size.has_value(), Code::hub_answer, "{}: {} does not send its size", what, settings_.endpoint);
}

std::string HubConnection::shown_name(const RemoteFile& file) const {
  return fmt::format("{}: {}", name_.text(), quoted(file.name));
}

void HubConnection::check_headers(const HttpResponse& response, const RemoteFile& file,
                                  const std::string& commit) const {
  const auto same = [&](const char* header, const std::string& found, const std::string& wanted) {
    check(found.empty() || found == wanted, Code::hub_answer, "{}: comes with {} {}, and {} was announced",
          shown_name(file), header, quoted(found), wanted);
  };
  same("X-Repo-Commit", response.header("x-repo-commit"), commit);
  same("X-Linked-Etag", bare(response.header("x-linked-etag")), file.digest);
  same("X-Linked-Size", response.header("x-linked-size"), std::to_string(*file.size));
  if (response.status == 200)
    same("Content-Length", response.header("content-length"), std::to_string(*file.size));
  const std::string& encoding = response.header("content-encoding");
  check(encoding.empty() || encoding == "identity", Code::hub_answer,
        "{}: comes encoded as {}, which was not asked for", shown_name(file), quoted(encoding));
}

void HubConnection::fetch_rest(const RemoteFile& file, const std::string& commit, IncompleteBlob& blob) {
  const std::string what = shown_name(file);
  const std::uint64_t size = *file.size;
  std::uint64_t most =
      blob.bytes();  // that were here at a time; a server that begins anew each time gains nothing
  std::string tag;   // of the file where it lies, which has its own
  const auto begin = [&](const HttpResponse& response) {
    check_headers(response, file, commit);
    if (response.status == 206) {
      const std::string& range = response.header("content-range");
      check(range.starts_with(fmt::format("bytes {}-", blob.bytes())) &&
                (range.ends_with(fmt::format("/{}", size)) || range.ends_with("/*")),
            Code::hub_answer, "{}: comes with Content-Range {}, and byte {} of {} was asked for", what,
            quoted(range), blob.bytes(), size);
    } else if (blob.bytes() > 0) {
      blob.restart();
    }
    const std::string& sent = response.header("etag");
    tag = sent.starts_with('"') ? sent : "";  // no weak one, which does not speak of bytes
  };
  const auto body = [&](Bytes bytes) {
    check(bytes.size() <= size - blob.bytes(), Code::hub_answer,
          "{}: comes with more than the {} bytes that were announced", what, size);
    blob.append(bytes);
    most = std::max(most, blob.bytes());
    hooks_.progress(file, blob.bytes());
  };
  const auto send = [&] {
    HttpRequest request{.url = address(commit, file.name),
                        .from = blob.bytes(),
                        .if_range = tag,
                        .is_file = true,
                        .begin = begin,
                        .body = body};
    HttpResponse response = client_.send(request);
    const bool refuses_range = response.status == 416 || response.status == 412;
    if (refuses_range && blob.bytes() > 0) {
      blob.restart();
      response.failure = fmt::format("{} does not go on from byte {}", settings_.endpoint, request.from);
      response.passing = true;
    } else if (response.failure.empty() && (response.status == 200 || response.status == 206) &&
               blob.bytes() < size) {
      response.failure = fmt::format("{} of {} bytes came", blob.bytes(), size);
      response.passing = true;
    }
    return response;
  };
  hooks_.progress(file, blob.bytes());
  if (blob.bytes() < size) check_status(ask(send, what, [&] { return most; }), what);
}

void HubConnection::fetch(const RemoteFile& file, const std::string& commit, const HubCache& cache) {
  const fs::path path = cache.blob(name_, file.digest);
  if (is_there(path, *file.size)) return;
  make_directories(path.parent_path());
  const BlobLock lock(cache.locks(name_) / (file.digest + ".lock"), shown_name(file));
  if (is_there(path, *file.size)) return;  // it came while we asked for the lock
  IncompleteBlob blob(path, file.digest, *file.size);
  if (blob.bytes() > 0)
    hooks_.note(fmt::format("{}: going on from byte {} of {}", shown_name(file), blob.bytes(), *file.size));
  fetch_rest(file, commit, blob);
  if (blob.finish()) return;
  hooks_.note(fmt::format("{}: is damaged, as its digest is {} and not {}; fetching it again",
                          shown_name(file), blob.found(), file.digest));
  fetch_rest(file, commit, blob);
  if (blob.finish()) return;
  fail(Code::hub_answer, "{}: came twice with the digest {}, and {} was announced", shown_name(file),
       blob.found(), file.digest);
}

std::uint64_t missing_bytes(const HubCache& cache, const RepositoryName& name, const RemoteFile& file) {
  const fs::path path = cache.blob(name, file.digest);
  if (is_there(path, *file.size)) return 0;
  return *file.size - std::min(*file.size, size_at(incomplete_path(path)));
}

std::string import_blob(const HubCache& cache, const RepositoryName& name, const fs::path& file,
                        const std::string& sha256) {
  const std::string digest = sha256_of_file(file);
  check(sha256.empty() || digest == sha256, Code::hub_answer, "{}: its SHA-256 is {}, and {} was asked for",
        shown(file), digest, quoted(sha256));
  const FileHandle source = FileHandle::open_regular(file);
  const std::uint64_t size = source.size();
  const fs::path path = cache.blob(name, digest);
  if (is_there(path, size)) return digest;
  make_directories(path.parent_path());
  const std::uint64_t free = free_space(path.parent_path());
  check(size <= free, Code::write, "{}: {} bytes are needed, and {} are free", shown(cache.root()), size,
        free);
  const BlobLock lock(cache.locks(name) / (digest + ".lock"), shown(file));
  std::error_code ignored;
  fs::remove(incomplete_path(path), ignored);  // all of it is at hand
  IncompleteBlob blob(path, digest, size);
  std::vector<std::byte> buffer(kChunk);
  while (const std::size_t n = source.read_some(buffer)) {
    check(n <= size - blob.bytes(), Code::changed, "{}: grew while it was read", shown(file));
    blob.append({buffer.data(), n});
  }
  check(blob.bytes() == size && blob.finish(), Code::changed, "{}: changed while it was read", shown(file));
  return digest;
}

}  // namespace glossa
