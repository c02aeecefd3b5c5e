/// Memory for zlib's output, reused from message to message by everything on a reactor.
///
/// It is taken out while it is in use, so that a second user at the same time gets other memory.
public final class Scratch {
  private static let largestKept = 256 * 1024
  private var spare: [UInt8] = []

  public init() {}

  /// At least this many bytes, with arbitrary contents.
  func take(_ least: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    swap(&bytes, &spare)
    return bytes.count >= least ? bytes : [UInt8](repeating: 0, count: least)
  }

  func giveBack(_ bytes: [UInt8]) {
    if bytes.count > spare.count, bytes.count <= Self.largestKept { spare = bytes }
  }
}
