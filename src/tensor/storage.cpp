#include "tensor/storage.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <mutex>

#include "base/error.h"

namespace glossa {
namespace {

constexpr std::size_t kSmall = 64 << 10;
constexpr std::size_t kMapped = 256 << 10;
constexpr std::size_t kHuge = 2 << 20;  // a huge page: fewer misses in the address cache for large matrices

class Pool {
 public:
  struct Block {
    void* data;
    std::size_t bytes;
  };

  Block take(std::size_t bytes) {
    bytes = rounded(bytes);
    {
      std::lock_guard lock(mutex_);
      // The best fit, unless it would waste more than it holds: ragged batches ask for a new size at every step, and
      // must find the blocks of the step before.
      if (auto it = free_.lower_bound(bytes); it != free_.end() && it->first <= 2 * bytes) {
        Block block{it->second, it->first};
        free_.erase(it);
        statistics_.in_use += block.bytes;
        return block;
      }
      statistics_.reserved += bytes;
      statistics_.in_use += bytes;
      statistics_.peak = std::max(statistics_.peak, statistics_.reserved);
      ++statistics_.system_allocations;
    }
    void* data = obtain(bytes);
    if (!data) {
      release();
      data = obtain(bytes);
    }
    if (!data) {
      std::lock_guard lock(mutex_);
      statistics_.reserved -= bytes;
      statistics_.in_use -= bytes;
      fail(Code::memory, "out of memory: cannot allocate {} bytes ({} MiB are in use)", bytes, statistics_.in_use >> 20);
    }
    return {data, bytes};
  }

  void give(Block block) {
    std::lock_guard lock(mutex_);
    free_.emplace(block.bytes, block.data);
    statistics_.in_use -= block.bytes;
  }

  void release() {
    std::lock_guard lock(mutex_);
    for (auto [bytes, data] : free_) {
      give_back(data, bytes);
      statistics_.reserved -= bytes;
    }
    free_.clear();
  }

  MemoryStatistics statistics() {
    std::lock_guard lock(mutex_);
    return statistics_;
  }

 private:
  static std::size_t rounded(std::size_t bytes) {
    const std::size_t unit = bytes < kSmall ? 256 : bytes < kHuge ? std::size_t{16} << 10 : std::size_t{256} << 10;
    return (std::max<std::size_t>(bytes, 1) + unit - 1) / unit * unit;
  }
  // Large blocks come from the system itself: what malloc gets back it may keep.
  static void* obtain(std::size_t bytes) {
    if (bytes < kMapped) return std::aligned_alloc(64, bytes);
    const std::size_t alignment = bytes >= kHuge ? kHuge : 0;
    void* const mapped = mmap(nullptr, bytes + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    if (alignment == 0) return mapped;
    char* const begin = static_cast<char*>(mapped);
    const std::size_t before = (alignment - reinterpret_cast<std::uintptr_t>(begin) % alignment) % alignment;
    if (before > 0) munmap(begin, before);
    if (before < alignment) munmap(begin + before + bytes, alignment - before);
    madvise(begin + before, bytes, MADV_HUGEPAGE);  // advice only; its refusal costs nothing
    return begin + before;
  }
  static void give_back(void* data, std::size_t bytes) {
    bytes < kMapped ? std::free(data) : static_cast<void>(munmap(data, bytes));
  }

  std::mutex mutex_;
  std::multimap<std::size_t, void*> free_;
  MemoryStatistics statistics_;
};

Pool& pool() {
  static Pool* const p = new Pool;  // never destroyed: tensors in static objects may outlive any order of destruction
  return *p;
}

}  // namespace

std::shared_ptr<Storage> allocate(std::size_t bytes, Device device) {
  const Pool::Block block = pool().take(bytes);
  auto storage = std::make_shared<Storage>();
  storage->data = block.data;
  storage->bytes = bytes;
  storage->device = device;
  storage->owner = std::shared_ptr<void>(block.data, [block](void*) { pool().give(block); });
  return storage;
}

void release_mapped(const Storage& storage, const void* begin, std::size_t bytes) {
  if (!storage.mapped) return;
  static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = (reinterpret_cast<std::uintptr_t>(begin) + page - 1) / page * page;
  const auto last = (reinterpret_cast<std::uintptr_t>(begin) + bytes) / page * page;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);  // advice only
}

MemoryStatistics memory_statistics() { return pool().statistics(); }
void release_unused_memory() { pool().release(); }

}  // namespace glossa
