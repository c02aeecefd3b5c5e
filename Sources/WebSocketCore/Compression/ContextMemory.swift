internal import CZlib
import Glibc
import Synchronization

/// The memory of zlib's contexts. Large blocks are mapped as their own pages, so that they go back to the system when a session
/// ends. In the heap, one small block behind them would keep them all.
enum ContextMemory {
  /// Blocks of this size and more are mapped as their own pages. Bytes.
  private static let pagesFrom = 16 * 1024
  /// Precedes each block and holds its size and where it comes from. As large as the required alignment of the block. Bytes.
  private static let head = 16
  private static let placeOfKind = 8

  /// The most blocks that are mapped at the same time; further ones come from the heap.
  ///
  /// The contexts of one session are up to five blocks. Linux allows a process 65,530 mappings unless `vm.max_map_count` says
  /// otherwise, and where none is left, every other allocation could fail, which ends the process.
  static let mostMappings = 16 * 1024
  private static let mappings = Atomic<Int>(0)

  /// A new stream of zlib that allocates its memory here. It keeps its address, because zlib points back to it.
  ///
  /// - Parameter begin: zlib's own initialization of the stream.
  static func makeStream(
    _ begin: (UnsafeMutablePointer<z_stream>) -> Int32
  ) -> UnsafeMutablePointer<z_stream> {
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    unsafe stream.pointee.zalloc = { _, count, size in unsafe ContextMemory.allocate(Int(count) * Int(size)) }
    unsafe stream.pointee.zfree = { _, block in unsafe ContextMemory.free(block) }
    let status = unsafe begin(stream)
    // Like every allocation in this process, zlib's cannot fail without ending it.
    precondition(status == Z_OK, "zlib: \(status)")
    return unsafe stream
  }

  static func allocate(_ bytes: Int, mostMappings: Int = mostMappings) -> UnsafeMutableRawPointer? {
    let size = bytes + head
    let mapped = unsafe size >= pagesFrom ? map(size, mostMappings) : nil
    guard let block = unsafe mapped ?? malloc(size) else { return nil }
    unsafe block.storeBytes(of: size, as: Int.self)
    unsafe block.storeBytes(of: mapped != nil, toByteOffset: placeOfKind, as: Bool.self)
    return unsafe block + head
  }

  /// - Returns: nil if there are too many mappings, or the system refuses another one.
  private static func map(_ size: Int, _ most: Int) -> UnsafeMutableRawPointer? {
    if mappings.add(1, ordering: .relaxed).newValue <= most {
      let block = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      if let block = unsafe block, unsafe block != MAP_FAILED { return unsafe block }
    }
    mappings.subtract(1, ordering: .relaxed)
    return nil
  }

  /// - Parameter address: a block of `allocate`.
  static func isMapped(_ address: UnsafeMutableRawPointer) -> Bool {
    unsafe (address - head).load(fromByteOffset: placeOfKind, as: Bool.self)
  }

  static func free(_ address: UnsafeMutableRawPointer?) {
    guard let address = unsafe address else { return }
    let block = unsafe address - head
    guard unsafe isMapped(address) else { return unsafe Glibc.free(block) }
    let size = unsafe block.load(as: Int.self)
    if unsafe munmap(block, size) == 0 {
      mappings.subtract(1, ordering: .relaxed)
    } else {
      // The kernel joins neighbouring mappings, and to split one needs another. The pages go back to the system all the same;
      // their addresses remain taken, and are counted.
      unsafe madvise(block, size, MADV_DONTNEED)
    }
  }
}
