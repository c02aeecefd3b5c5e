internal import CZlib
import Glibc

/// The memory of zlib's contexts. Large blocks are mapped as their own pages, so that they go back to the system when a session
/// ends. In the heap, one small block behind them would keep them all.
enum ContextMemory {
  /// Blocks of this size and more are mapped as their own pages. Bytes.
  private static let pagesFrom = 16 * 1024
  /// Precedes each block and holds its size. As large as the required alignment of the block. Bytes.
  private static let head = 16

  /// Makes zlib allocate the stream's memory here. Must be called before the stream is initialized.
  static func use(for stream: UnsafeMutablePointer<z_stream>) {
    unsafe stream.pointee.zalloc = { _, count, size in unsafe ContextMemory.allocate(Int(count) * Int(size)) }
    unsafe stream.pointee.zfree = { _, block in unsafe ContextMemory.free(block) }
  }

  private static func allocate(_ bytes: Int) -> UnsafeMutableRawPointer? {
    let size = bytes + head
    guard size >= pagesFrom else {
      guard let block = unsafe malloc(size) else { return nil }
      unsafe block.storeBytes(of: size, as: Int.self)
      return unsafe block + head
    }
    let block = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let block = unsafe block, unsafe block != MAP_FAILED else { return nil }
    unsafe block.storeBytes(of: size, as: Int.self)
    return unsafe block + head
  }

  private static func free(_ address: UnsafeMutableRawPointer?) {
    guard let address = unsafe address else { return }
    let block = unsafe address - head
    let size = unsafe block.load(as: Int.self)
    if size < pagesFrom { unsafe Glibc.free(block) } else { unsafe munmap(block, size) }
  }
}
