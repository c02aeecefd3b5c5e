public import Bytes

/// A connected socket that a library reads, for another program of this process that goes on with it.
public struct HandedSocket: Sendable, Recorded, Equatable {
  /// The number that it has in both programs.
  public var descriptor: Int32 = -1
  /// What was received and is not handled yet.
  public var unread: [UInt8] = []

  public init(descriptor: Int32, unread: [UInt8]) {
    (self.descriptor, self.unread) = (descriptor, unread)
  }

  public init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      switch field.number {
      case 1: descriptor = try field.integer()
      case 2: unread = try field.bytes()
      default: break
      }
    }
    guard descriptor > 2 else { throw RecordedFault("a connection has no descriptor") }
  }

  public func write(to record: inout RecordWriter) {
    record.add(1, Int(descriptor))
    record.add(2, unread)
  }
}
