internal import CZlib
import Glibc

/// The memory of zlib's contexts. Its large blocks are pages of their own, which go back to the system when a session ends: in the
/// heap, one small block behind them keeps them all.
enum ContextMemory {
  /// From this size on a block is pages of its own. Bytes.
  private static let pagesFrom = 16 * 1024
  /// Stands before each block, and holds its size; as large as the alignment that the block has to have. Bytes.
  private static let head = 16

  /// Makes zlib take the stream's memory from here; before the stream is initialized.
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
