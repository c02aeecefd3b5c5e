import ArgumentParser
import Glibc

/// What a command reads instead of an argument that is `-`.
enum StandardInput {
  /// Reads all of it, at most 64 MiB: more than any route accepts.
  static func read() throws -> [UInt8] {
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe buffer.withUnsafeMutableBytes {
        unsafe Glibc.read(STDIN_FILENO, $0.baseAddress, $0.count)
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw ValidationError("Standard input cannot be read.") }
      guard count > 0 else { return all }
      all += buffer[..<count]
      guard all.count <= 64 << 20 else { throw ValidationError("Standard input is longer than 64 MiB.") }
    }
  }
}
