// workspaces.h -- objects that one thread works with at a time and that are worth keeping: buffers, caches.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>

namespace glossa {

inline std::size_t thread_number() {
  static std::atomic<std::size_t> threads{0};
  thread_local const std::size_t number = threads++;
  return number;
}

// A thread looks in a slot of its own first, so that it finds what it knows.
template <class T>
class Workspaces {
 public:
  using Make = std::function<std::unique_ptr<T>()>;
  explicit Workspaces(Make make) : make_(std::move(make)) {}
  ~Workspaces() {
    for (auto& slot : slots_) delete slot.load();
  }
  Workspaces(const Workspaces&) = delete;
  Workspaces& operator=(const Workspaces&) = delete;

  // An object for the calling thread, for as long as this lives.
  class Lease {
   public:
    explicit Lease(const Workspaces& all)
        : slot_(all.slots_[thread_number() % all.slots_.size()]), object_(slot_.exchange(nullptr)) {
      if (!object_) object_ = all.make_();
    }
    ~Lease() { delete slot_.exchange(object_.release()); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    T& operator*() const { return *object_; }
    T* operator->() const { return object_.get(); }

   private:
    std::atomic<T*>& slot_;
    std::unique_ptr<T> object_;
  };

 private:
  Make make_;
  mutable std::array<std::atomic<T*>, 64> slots_{};
};

}  // namespace glossa
