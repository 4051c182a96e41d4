// settings.h -- where the hub and its cache are and who asks, as the variables of the Python library
// huggingface_hub say.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

#include "base/file.h"

namespace glossa {

// How long to wait for a server, and how often to ask again.
struct Patience {
  std::chrono::milliseconds connect{15'000};
  std::int64_t slowest = 1000;  // bytes in a second; a transfer that is slower for `slow` is given up
  std::chrono::seconds slow{30};
  std::chrono::seconds answer{120};         // for an answer that is no file
  int attempts = 5;                         // without a byte of progress
  std::chrono::milliseconds pause{1000};    // before the second attempt; doubled each time
  std::chrono::seconds longest_pause{300};  // that a server may ask for
};

// HF_HUB_CACHE; HF_HOME/hub; XDG_CACHE_HOME/huggingface/hub; ~/.cache/huggingface/hub.
fs::path hub_cache_folder();

struct HubSettings {
  fs::path cache;        // hub_cache_folder()
  std::string endpoint;  // HF_ENDPOINT, without a slash at the end
  std::string token;     // HF_TOKEN, or what HF_TOKEN_PATH or HF_HOME/token holds; "" for none. Never shown
  bool offline = false;                                   // HF_HUB_OFFLINE
  bool bars = true;                                       // HF_HUB_DISABLE_PROGRESS_BARS
  std::string authorities = {}, authorities_folder = {};  // SSL_CERT_FILE, SSL_CERT_DIR; "" for the system's
  Patience patience = {};

  // Error(bad_value) for an address or token that is none.
  static HubSettings from_environment();
};

}  // namespace glossa
