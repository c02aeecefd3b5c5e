/// Memory for what zlib writes, kept from one message to the next; everything on a reactor shares one.
///
/// It is taken out while it is used, so that whoever needs one in between gets another.
public final class Scratch {
  private static let largestKept = 256 * 1024
  private var spare: [UInt8] = []

  public init() {}

  /// At least so many bytes, whatever they are.
  func take(_ least: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    swap(&bytes, &spare)
    return bytes.count >= least ? bytes : [UInt8](repeating: 0, count: least)
  }

  func giveBack(_ bytes: [UInt8]) {
    if bytes.count > spare.count, bytes.count <= Self.largestKept { spare = bytes }
  }
}
