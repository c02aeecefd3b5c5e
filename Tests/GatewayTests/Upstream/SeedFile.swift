import Foundation

/// Where the seeds under way are written, so that they can be found after a crash.
struct SeedFile: Sendable {
  private let descriptor: Int32

  init(_ path: String) {
    descriptor = unsafe open(path, O_RDWR | O_CREAT, 0o600)
  }

  func note(_ seed: UInt64, lane: Int) {
    unsafe withUnsafeBytes(of: seed) { _ = unsafe pwrite(descriptor, $0.baseAddress, 8, off_t(lane * 8)) }
  }

  static func seeds(in path: String) -> [UInt64] {
    let bytes = (try? Data(contentsOf: URL(filePath: path))).map(Array.init) ?? []
    return stride(from: 0, to: bytes.count - 7, by: 8).map { start in
      bytes[start..<start + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
  }
}
