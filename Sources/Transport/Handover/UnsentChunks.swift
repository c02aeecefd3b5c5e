public import Bytes

/// The unsent bytes of a reactor's connections, as a record: each block once, however many connections wait with it.
///
/// Filled on the reactor while the states of its connections are taken, in one turn or in several; read on the reactor that takes them
/// over.
public final class UnsentChunks: Recorded {
  /// A block of bytes, and where pieces end in it (`BacklogChunk.marks`).
  private struct Block: Recorded {
    var bytes: [UInt8] = []
    var marks: [UInt8] = []

    init() {}

    /// Copies what has come into the chunk since the last time.
    mutating func copy(_ chunk: BacklogChunk) {
      guard bytes.count < chunk.count else { return }
      unsafe chunk.withBytes(bytes.count..<chunk.count) { unsafe bytes.append(contentsOf: $0) }
      marks = chunk.marks
    }

    init(from record: inout RecordReader) throws(RecordedFault) {
      while let field = try record.next() {
        switch field.number {
        case 1: bytes = try field.bytes()
        case 2: marks = try field.bytes()
        default: break
        }
      }
    }

    func write(to record: inout RecordWriter) {
      record.add(1, bytes)
      record.add(2, marks)
    }
  }

  private var blocks: [Block] = []
  /// By what tells chunks from each other (`BacklogChunk.since`). They are not held: between two turns, one may be given up or filled
  /// anew, and what is held counts as waiting.
  private var known: [UInt64: Int] = [:]
  /// Those of a reader, on its reactor.
  private var restored: [BacklogChunk] = []

  public init() {}

  public init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      if field.number == 1 { blocks.append(try field.record()) }
    }
  }

  public func write(to record: inout RecordWriter) {
    for block in blocks { record.add(1, block) }
  }

  /// - Returns: the number of the block with the bytes that the chunk has now.
  func number(of chunk: BacklogChunk) -> Int {
    let number = known[chunk.since] ?? blocks.count
    if number == blocks.count {
      known[chunk.since] = number
      blocks.append(Block())
    }
    blocks[number].copy(chunk)
    return number
  }

  func size(of block: Int) -> Int? { blocks.indices.contains(block) ? blocks[block].bytes.count : nil }

  /// The block's bytes in the backlog of the reactor that goes on with them.
  func chunk(_ block: Int, in backlog: Backlog) -> BacklogChunk {
    if restored.isEmpty { restored = blocks.map { Self.chunk($0, in: backlog) } }
    return restored[block]
  }

  private static func chunk(_ block: Block, in backlog: Backlog) -> BacklogChunk {
    let chunk = backlog.ownChunk(capacity: block.bytes.count)
    unsafe block.bytes.withUnsafeBytes { unsafe chunk.append($0) }
    chunk.restore(marks: block.marks)
    backlog.passed(block.bytes.count)
    return chunk
  }

  /// Lets go of what no connection waits with.
  public func finish() {
    restored = []
    blocks = []
  }
}
