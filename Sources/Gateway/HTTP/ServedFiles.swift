import Glibc
import Hummingbird
import NIOCore
import NIOPosix
import Sessions
import Transport

/// The files below one directory, for Hummingbird's file middleware.
///
/// The middleware refuses every path with two dots in it, even `a..b.txt`. Paths that lead out of the directory have been
/// refused before, so two dots are disguised for the middleware and restored for the file system.
///
/// A file is read in parts, the next one when the client has room for it, and counts in `limits.send_memory` until it is sent.
/// (Hummingbird's own provider reads a megabyte ahead for every client, however slow.)
struct ServedFiles: FileProvider {
  /// The file has become shorter. The client must not take the received part for the whole.
  private struct CutShort: Error {}

  /// No file name contains this.
  private static let disguise = ".\u{0}."
  /// The size of one read. Bytes.
  private static let part = 64 * 1024
  /// The most bytes that one answer holds: a part, and NIO's buffer up to its high-water mark.
  private static let share = part + 64 * 1024

  let files: LocalFileSystem
  let memory: MemoryBudget

  static func disguised(_ path: String) -> String { path.replacing("..", with: disguise) }

  func getFileIdentifier(_ path: String) -> String? {
    files.getFileIdentifier(path.replacing(Self.disguise, with: ".."))
  }

  func getAttributes(id: String) async throws -> LocalFileSystem.FileAttributes? {
    try await files.getAttributes(id: id)
  }

  func loadFile(id: String, context: some RequestContext) async throws -> ResponseBody {
    let file = try await Self.open(id)
    return try body(of: file, 0..<file.size)
  }

  func loadFile(id: String, range: ClosedRange<Int>, context: some RequestContext) async throws
    -> ResponseBody
  {
    let file = try await Self.open(id)
    return try body(of: file, Range(range).clamped(to: 0..<file.size))
  }

  private static func open(_ path: String) async throws -> OpenFile {
    try await NIOThreadPool.singleton.runIfActive { try OpenFile(path) }
  }

  private func body(of file: OpenFile, _ range: Range<Int>) throws -> ResponseBody {
    guard let share = MemoryShare(min(range.count, Self.share), of: memory) else { throw Refusal.noMemory }
    return ResponseBody(contentLength: range.count) { writer in
      var offset = range.lowerBound
      while offset < range.upperBound {
        let length = min(Self.part, range.upperBound - offset)
        let part = try await NIOThreadPool.singleton.runIfActive { [offset] in
          try file.read(length, from: offset)
        }
        guard part.readableBytes > 0 else { throw CutShort() }
        offset += part.readableBytes
        try await writer.write(part)
      }
      withExtendedLifetime(share) {}
      try await writer.finish(nil)
    }
  }
}

/// A file that is open for reading; closed with the last reference to it.
private final class OpenFile: Sendable {
  let size: Int
  private let descriptor: Int32

  init(_ path: String) throws {
    descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw HTTPError(.notFound) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      Glibc.close(descriptor)
      throw HTTPError(.notFound)
    }
    size = Int(status.st_size)
  }

  deinit {
    Glibc.close(descriptor)
  }

  /// The bytes of the file at this offset, as many as there are; empty at its end.
  func read(_ length: Int, from offset: Int) throws -> ByteBuffer {
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
