#include "hub/settings.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <initializer_list>

#include "base/error.h"
#include "hub/names.h"

namespace glossa {
namespace {

constexpr std::uint64_t kLongestToken = 4096;

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value ? value : "";
}

bool is_true(const char* name) {
  const std::string value = upper(variable(name));
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

// Error(usage) if there is none, as for a user without a home who names no cache either.
fs::path home() {
  if (const std::string home = variable("HOME"); !home.empty()) return home;
  const passwd* const user = getpwuid(getuid());
  check(user && user->pw_dir && *user->pw_dir, Code::usage,
        "this user has no home directory; HF_HOME names the folder for models");
  return user->pw_dir;
}

// A leading ~ as the library has it.
fs::path expanded(const std::string& path) {
  if (path == "~") return home();
  return path.starts_with("~/") ? home() / path.substr(2) : fs::path(path);
}

fs::path hub_home() {
  if (const std::string set = variable("HF_HOME"); !set.empty()) return expanded(set);
  if (const std::string set = variable("XDG_CACHE_HOME"); !set.empty()) return expanded(set) / "huggingface";
  return home() / ".cache" / "huggingface";
}

std::string trimmed(std::string text) {
  const char* const blank = " \t\r\n";
  text.erase(text.find_last_not_of(blank) + 1);
  text.erase(0, text.find_first_not_of(blank));
  return text;
}

// A token goes into a header: what would end the header is no token. Its text is not for messages.
std::string checked_token(const std::string& text, const std::string& origin) {
  const std::string token = trimmed(text);
  check(std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7F; }), Code::bad_value,
        "{}: holds characters that no token has", origin);
  return token;
}

std::string find_token() {
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
    if (const std::string set = variable(name); !trimmed(set).empty()) return checked_token(set, name);
  if (is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return "";
  const std::string set = variable("HF_TOKEN_PATH");
  const fs::path path = set.empty() ? hub_home() / "token" : expanded(set);
  std::error_code error;
  if (!fs::exists(path, error)) return "";
  return checked_token(read_file(path, kLongestToken), shown(path));
}

std::string checked_endpoint(std::string address) {
  if (address.empty()) return "https://huggingface.co";
  while (address.ends_with('/')) address.pop_back();
  const bool plain = std::all_of(address.begin(), address.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  check(plain && (address.starts_with("https://") || address.starts_with("http://")) &&
            address.find_first_of("@?#\\\"") == address.npos,
        Code::bad_value, "HF_ENDPOINT: {} is no address such as https://huggingface.co", quoted(address));
  return address;
}

}  // namespace

fs::path hub_cache_folder() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"})
    if (const std::string set = variable(name); !set.empty()) return expanded(set);
  return hub_home() / "hub";
}

HubSettings HubSettings::from_environment() {
  HubSettings s;
  s.cache = hub_cache_folder();
  s.endpoint = checked_endpoint(variable("HF_ENDPOINT"));
  s.token = find_token();
  s.offline = is_true("HF_HUB_OFFLINE") || is_true("TRANSFORMERS_OFFLINE");
  s.bars = !is_true("HF_HUB_DISABLE_PROGRESS_BARS");
  s.authorities = variable("SSL_CERT_FILE");
  s.authorities_folder = variable("SSL_CERT_DIR");
  return s;
}

}  // namespace glossa
