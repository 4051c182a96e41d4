// storage.h -- who owns the bytes of tensors. Host memory comes from a pool that reuses what was freed, so a training
// step allocates nothing once it has warmed up.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace glossa {

// `reference` is the specification: plain loops on the host. `cpu` is the same memory and fast kernels.
struct Device {
  enum Kind : std::uint8_t { cpu, reference } kind = cpu;
  bool operator==(const Device&) const = default;
};

struct Leaf;  // what the tape keeps of a parameter (autograd/tape.h)

struct Storage {
  void* data = nullptr;
  std::size_t bytes = 0;
  Device device;
  std::shared_ptr<void> owner;  // keeps `data` alive: a pool block, or a mapped file
  // Set for parameters that take part in training.
  std::shared_ptr<Leaf> leaf;
  // Contents will not change any more, so a backend may keep a layout of its own beside them: made on first use, and
  // freed with the storage.
  bool frozen = false;
  std::shared_ptr<void> packed;
  bool mapped = false;  // bytes of a file: what is given up is read again when it is wanted
};

// A block of at least `bytes`, aligned to 64 bytes, uninitialised. Error(memory) with sizes when there is none.
std::shared_ptr<Storage> allocate(std::size_t bytes, Device device);

// Gives up the memory of bytes of a mapped file that are not wanted for now; of other storage, nothing.
void release_mapped(const Storage& storage, const void* begin, std::size_t bytes);

struct MemoryStatistics {
  std::size_t in_use = 0;    // bytes in live blocks
  std::size_t reserved = 0;  // bytes taken from the system
  std::size_t peak = 0;      // the most that was ever reserved
  std::uint64_t system_allocations = 0;
};
MemoryStatistics memory_statistics();
void release_unused_memory();  // gives free blocks back to the system

}  // namespace glossa
