#include "hub/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstdlib>
#include <exception>

#include "base/error.h"
#include "base/version.h"

namespace glossa {
namespace {

constexpr int kMostRedirects = 10;
constexpr std::uint64_t kMostPassedOver = 1 << 20;  // bytes of the body of a refusal
constexpr std::size_t kLongestHeaders = 256 << 10;  // all of an answer

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

void add(HeaderList& list, const std::string& line) {
  curl_slist* const longer = curl_slist_append(list.get(), line.c_str());
  if (!longer) throw std::bad_alloc();
  (void)list.release();
  list.reset(longer);
}

// libcurl must be made ready once, before threads; a static of a function is.
void initialise_curl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  check(code == CURLE_OK, Code::internal, "libcurl: {}", curl_easy_strerror(code));
}

struct Origin {
  std::string scheme, host, port;
  bool operator==(const Origin&) const = default;
  bool is_loopback() const {
    return host == "localhost" || host == "[::1]" || host.starts_with("127.");
  }
};

// Error(network) if it is no address of http or https.
Origin origin_of(const std::string& url) {
  struct Cleanup {
    void operator()(CURLU* u) const { curl_url_cleanup(u); }
  };
  const std::unique_ptr<CURLU, Cleanup> parsed(curl_url());
  if (!parsed) throw std::bad_alloc();
  const auto part = [&](CURLUPart which, unsigned flags) {
    char* text = nullptr;
    if (curl_url_get(parsed.get(), which, &text, flags) != CURLUE_OK) return std::string();
    std::string copy = text;
    curl_free(text);
    for (char& c : copy)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return copy;
  };
  const bool good = curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), CURLU_DISALLOW_USER) == CURLUE_OK;
  Origin origin;
  if (good)
    origin = {part(CURLUPART_SCHEME, 0), part(CURLUPART_HOST, 0), part(CURLUPART_PORT, CURLU_DEFAULT_PORT)};
  check(good && !origin.host.empty() && (origin.scheme == "http" || origin.scheme == "https"), Code::network,
        "{} is no address of http or https", quoted(url));
  return origin;
}

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// What will be the same at the next try.
bool is_lasting(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return true;
    default:
      return false;
  }
}

bool cannot_be_mended(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
         code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_CERTPROBLEM;
}

// "https://host:port" is all of an address that messages say: what follows may be signed, and so a secret.
std::string shown(const Origin& origin) {
  return quoted(fmt::format("{}://{}:{}", origin.scheme, origin.host, origin.port));
}

template <class Value>
void set(CURL* handle, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(handle, option, value);
  check(code == CURLE_OK, Code::internal, "libcurl: {}", curl_easy_strerror(code));
}

}  // namespace

const std::string& HttpResponse::header(const std::string& name) const {
  static const std::string none;
  const auto it = headers.find(name);
  return it == headers.end() ? none : it->second;
}

// One hop, as libcurl's callbacks see it.
struct HttpClient::Transfer {
  CURL* handle;
  const HttpRequest* request;
  const std::function<bool()>* stop;
  HttpResponse response;
  std::map<std::string, std::string> earlier;  // what the endpoint said before it led elsewhere
  std::exception_ptr thrown;
  std::uint64_t passed_over = 0;
  std::size_t header_bytes = 0;
  bool begun = false, too_long = false;

  // Runs what may throw between two frames of C.
  template <class Action>
  bool guarded(Action action) {
    try {
      return action();
    } catch (...) {
      thrown = std::current_exception();
      return false;
    }
  }

  bool header(std::string_view line) {
    if (line.starts_with("HTTP/")) response.headers = earlier, header_bytes = 0;  // another answer begins: 100, a proxy's
    if ((header_bytes += line.size()) > kLongestHeaders) return false;
    const std::size_t colon = line.find(':');
    if (colon == line.npos) return true;
    std::string name(line.substr(0, colon));
    for (char& c : name)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    std::string_view value = line.substr(colon + 1);
    const std::size_t begin = std::min(value.find_first_not_of(" \t"), value.size());
    value.remove_prefix(begin);
    while (!value.empty() && std::string_view(" \t\r\n").find(value.back()) != std::string_view::npos) value.remove_suffix(1);
    response.headers[name] = value;
    return true;
  }

  bool body(Bytes bytes) {
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    response.status = status;
    if (status != 200 && status != 206) {
      too_long = (passed_over += bytes.size()) > kMostPassedOver;
      return !too_long;
    }
    if (!begun && request->begin) request->begin(response);
    begun = true;
    if (request->body) request->body(bytes);
    return true;
  }
};

HttpClient::HttpClient(const HubSettings& settings, std::function<bool()> stop)
    : settings_(settings), stop_(std::move(stop)) {
  initialise_curl();
  handle_.reset(curl_easy_init());
  if (!handle_) throw std::bad_alloc();
}

HttpClient::~HttpClient() = default;

void HttpClient::Free::operator()(void* handle) const {
  curl_easy_cleanup(handle);
}

bool HttpClient::carries_token(const std::string& url) const {
  if (settings_.token.empty()) return false;
  const Origin origin = origin_of(url);
  return origin == origin_of(settings_.endpoint) && (origin.scheme == "https" || origin.is_loopback());
}

void HttpClient::configure(const std::string& url, const HttpRequest& request) {
  CURL* const h = handle_.get();
  const Patience& patience = settings_.patience;
  curl_easy_reset(h);  // connections and sessions are kept
  set(h, CURLOPT_URL, url.c_str());
  set(h, CURLOPT_PROTOCOLS_STR, "http,https");
  set(h, CURLOPT_FOLLOWLOCATION, 0L);
  set(h, CURLOPT_NOSIGNAL, 1L);
  set(h, CURLOPT_USERAGENT, (std::string("glossa/") + kVersion).c_str());
  set(h, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(patience.connect.count()));
  set(h, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(patience.slowest));
  set(h, CURLOPT_LOW_SPEED_TIME, static_cast<long>(patience.slow.count()));
  if (!request.is_file) set(h, CURLOPT_TIMEOUT_MS, static_cast<long>(patience.answer.count() * 1000));
  if (request.head) set(h, CURLOPT_NOBODY, 1L);
  if (request.from > 0) set(h, CURLOPT_RANGE, fmt::format("{}-", request.from).c_str());
  if (!settings_.authorities.empty()) set(h, CURLOPT_CAINFO, settings_.authorities.c_str());
  if (!settings_.authorities_folder.empty()) set(h, CURLOPT_CAPATH, settings_.authorities_folder.c_str());
  // libcurl reads http_proxy in small letters only, because of CGI, where a request's header sets the other.
  const char* const proxy = std::getenv("HTTP_PROXY");
  if (proxy && !std::getenv("http_proxy") && !std::getenv("REQUEST_METHOD") && url.starts_with("http://"))
    set(h, CURLOPT_PROXY, proxy);
}

void HttpClient::perform(const std::string& url, const HttpRequest& request, Transfer& transfer) {
  configure(url, request);
  CURL* const h = handle_.get();
  HeaderList headers;
  add(headers, "Accept-Encoding: identity");  // sizes and ranges are those of the file
  if (request.from > 0 && !request.if_range.empty()) add(headers, "If-Range: " + request.if_range);
  if (carries_token(url)) {
    add(headers, "Authorization: Bearer " + settings_.token);
    if (url.starts_with("http://")) set(h, CURLOPT_PROXY, "");  // it stays on this machine
  }
  set(h, CURLOPT_HTTPHEADER, headers.get());
  set(h, CURLOPT_UNRESTRICTED_AUTH, 0L);
  transfer.handle = h;
  const auto on_bytes = +[](char* data, std::size_t, std::size_t size, void* user) -> std::size_t {
    auto& t = *static_cast<Transfer*>(user);
    return t.guarded([&] { return t.body({reinterpret_cast<const std::byte*>(data), size}); }) ? size : 0;
  };
  const auto on_header = +[](char* data, std::size_t, std::size_t size, void* user) -> std::size_t {
    auto& t = *static_cast<Transfer*>(user);
    return t.guarded([&] { return t.header({data, size}); }) ? size : 0;
  };
  const auto on_progress = +[](void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) -> int {
    auto& t = *static_cast<Transfer*>(user);
    return t.guarded([&] { return !(t.response.stopped = *t.stop && (*t.stop)()); }) ? 0 : 1;
  };
  set(h, CURLOPT_WRITEFUNCTION, on_bytes);
  set(h, CURLOPT_WRITEDATA, &transfer);
  set(h, CURLOPT_HEADERFUNCTION, on_header);
  set(h, CURLOPT_HEADERDATA, &transfer);
  set(h, CURLOPT_XFERINFOFUNCTION, on_progress);
  set(h, CURLOPT_XFERINFODATA, &transfer);
  set(h, CURLOPT_NOPROGRESS, 0L);
  char words[CURL_ERROR_SIZE] = "";
  set(h, CURLOPT_ERRORBUFFER, words);

  const CURLcode code = curl_easy_perform(h);
  set(h, CURLOPT_ERRORBUFFER, static_cast<char*>(nullptr));
  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &transfer.response.status);
  if (code == CURLE_OK || transfer.too_long) return;  // of a refusal the status is enough
  const std::string text = *words ? words : curl_easy_strerror(code);
  check(!cannot_be_mended(code), Code::network, "{}: {} (SSL_CERT_FILE names the authorities to trust)",
        shown(origin_of(url)), text);
  transfer.response.failure = fmt::format("{}: {}", shown(origin_of(url)), text);
  transfer.response.passing = !is_lasting(code) && !transfer.response.stopped;
}

std::string HttpClient::next_url(const std::string& url, const HttpRequest& request, const HttpResponse& response) {
  if (!response.failure.empty() || !is_redirect(response.status)) return "";
  char* next = nullptr;  // made absolute by libcurl, which owns it
  curl_easy_getinfo(handle_.get(), CURLINFO_REDIRECT_URL, &next);
  check(next, Code::network, "{}: answers with {} and says no place to go", shown(origin_of(url)), response.status);
  const std::string target = next;
  const Origin from = origin_of(url), to = origin_of(target);
  check(from.scheme != "https" || to.scheme == "https", Code::network,
        "{}: leads to {}, from https to http, and is not followed", shown(from), shown(to));
  return request.head && to != from ? "" : target;
}

HttpResponse HttpClient::send(const HttpRequest& request) {
  std::string url = request.url;
  std::map<std::string, std::string> earlier;
  for (int hop = 0; hop <= kMostRedirects; ++hop) {
    Transfer transfer{.handle = nullptr, .request = &request, .stop = &stop_, .response = {}, .earlier = earlier, .thrown = {}};
    perform(url, request, transfer);
    const std::string next = next_url(url, request, transfer.response);
    if (next.empty()) return std::move(transfer.response);
    if (origin_of(url) == origin_of(settings_.endpoint))
      for (const auto& [name, value] : transfer.response.headers)
        if (name.starts_with("x-repo-") || name.starts_with("x-linked-")) earlier[name] = value;
    url = next;
  }
  fail(Code::network, "{}: leads on more than {} times", shown(origin_of(request.url)), kMostRedirects);
}

std::string url_escaped(std::string_view text, bool slashes) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       std::string_view("-._~").find(c) != std::string_view::npos || (slashes && c == '/');
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace glossa
