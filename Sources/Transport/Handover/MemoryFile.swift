import CLinux
import Glibc

/// A file without a name that exists in memory only, until the last process closes it (`memfd_create(2)`).
package final class MemoryFile: Sendable {
  package let rawValue: Int32
  /// Bytes.
  package let size: Int

  /// Makes a file with this content, which nobody can change any more.
  ///
  /// - Parameter pieces: each is given up once it is written, so that what nobody else has is not there twice.
  package init(_ pieces: consuming [[UInt8]]) throws(TransportFailure) {
    let raw = unsafe memfd_create("sluice", memory_file_flags)
    guard raw >= 0 else { throw TransportFailure("make a file in memory", errno) }
    rawValue = raw
    size = pieces.reduce(0) { $0 + $1.count }
    for index in pieces.indices {
      try Self.write(pieces[index], to: raw)
      pieces[index] = []
    }
    guard seal_memory_file(raw) == 0 else { throw TransportFailure("seal a file in memory", errno) }
  }

  deinit {
    _ = Glibc.close(rawValue)
  }

  private static func write(_ bytes: [UInt8], to raw: Int32) throws(TransportFailure) {
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.write(raw, $0.baseAddress.unsafelyUnwrapped + done, $0.count - done)
      }
      if count > 0 {
        done += count
      } else if errno != EINTR {
        throw TransportFailure("write a file in memory", errno)
      }
    }
  }

  /// Reads the whole of a file, and closes it.
  ///
  /// - Parameter raw: was inherited.
  package static func take(_ raw: Int32) throws(TransportFailure) -> [UInt8] {
    let descriptor = Descriptor(adopting: raw)
    var status = stat()
    guard unsafe fstat(descriptor.rawValue, &status) == 0 else {
      throw TransportFailure("look at an inherited file", errno)
    }
    guard status.st_mode & S_IFMT == S_IFREG else { throw TransportFailure("read an inherited file", EINVAL) }
    let size = Int(status.st_size)
    var failure: Int32 = 0
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, done in
      while done < size {
        let count = unsafe pread(
          raw, buffer.baseAddress.unsafelyUnwrapped + done, size - done, off_t(done))
        if count > 0 {
          done += count
        } else if count == 0 || errno != EINTR {
          failure = count == 0 ? ENODATA : errno
          return
        }
      }
    }
    guard failure == 0 else { throw TransportFailure("read an inherited file", failure) }
    return bytes
  }
}
