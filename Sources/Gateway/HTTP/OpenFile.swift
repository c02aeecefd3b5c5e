import CLinux
import Glibc
import Hummingbird
import NIOCore
import NIOPosix
import Sessions
import Transport

/// A file that is open for reading; closed with the last reference to it.
final class OpenFile: Sendable {
  let version: FileVersion
  private let descriptor: Int32

  /// The size of one read. Bytes.
  private static let part = 64 * 1024
  /// The most bytes that one answer holds: a part, and NIO's buffer up to its high-water mark.
  private static let share = part + 64 * 1024

  /// - Parameter path: without symbolic links: one that has come into it since it was resolved could lead anywhere.
  /// - Returns: nil if there is no file that may be read.
  /// - Throws: if there may be one, but the system has no descriptor for it, for instance.
  static func open(_ path: String) async throws -> OpenFile? {
    try await NIOThreadPool.singleton.runIfActive { try OpenFile(path) }
  }

  private init?(_ path: String) throws {
    let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK
    var descriptor = unsafe open_without_links(path, flags)
    if descriptor < 0, errno == ENOSYS || errno == EPERM {
      // A kernel, or a sandbox, without openat2: only the last part of the path is looked at.
      descriptor = unsafe Glibc.open(path, flags | O_NOFOLLOW)
    }
    guard descriptor >= 0 else {
      if [ENOENT, ENOTDIR, ELOOP, EACCES, ENXIO].contains(errno) { return nil }
      throw IOError(errnoCode: errno, reason: "open a file")
    }
    guard let status = FileStatus(of: descriptor), status.kind == .regular else {
      Glibc.close(descriptor)
      return nil
    }
    self.descriptor = descriptor
    version = FileVersion(status)
  }

  deinit {
    Glibc.close(descriptor)
  }

  /// The file has become shorter. The client must not take the received part for the whole.
  private struct CutShort: Error {}

  /// A part of the file, which is read piece by piece, the next one when the client has room for it.
  ///
  /// - Parameter memory: counts what waits for the client.
  func body(_ range: Range<Int>, countedIn memory: MemoryBudget) throws(Refusal) -> ResponseBody {
    guard let share = MemoryShare(min(range.count, Self.share), of: memory) else { throw Refusal.noMemory }
    return ResponseBody(contentLength: range.count) { [self] writer in
      var offset = range.lowerBound
      while offset < range.upperBound {
        let length = min(Self.part, range.upperBound - offset)
        let part = try await NIOThreadPool.singleton.runIfActive { [self, offset] in
          try read(length, from: offset)
        }
        guard part.readableBytes > 0 else { throw CutShort() }
        offset += part.readableBytes
        try await writer.write(part)
      }
      withExtendedLifetime(share) {}
      try await writer.finish(nil)
    }
  }

  /// The bytes of the file at this offset, as many as there are; empty at its end.
  private func read(_ length: Int, from offset: Int) throws -> ByteBuffer {
    var buffer = ByteBufferAllocator().buffer(capacity: length)
    try unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { space in
      while true {
        let count = unsafe pread(descriptor, space.baseAddress, length, off_t(offset))
        if count >= 0 { return count }
        guard errno == EINTR else { throw IOError(errnoCode: errno, reason: "read a file") }
      }
    }
    return buffer
  }
}
