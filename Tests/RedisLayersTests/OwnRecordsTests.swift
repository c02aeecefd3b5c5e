import Bytes
import ChannelLayers
import Synchronization
import Testing
import Transport

@testable import RedisLayers

private struct Text: RecordContent {
  var text: String

  func encoded() -> [UInt8] { Array(text.utf8) }
}

private final class Answers: Sendable {
  private let all = Mutex<[Bool]>([])

  var given: [Bool] { all.withLock { $0 } }
  var kept: OwnRecords.Kept { { answer in self.all.withLock { $0.append(answer) } } }
}

extension OwnRecords.Batch {
  /// `LOT +ADDRESS=CONTENT -ADDRESS`, with a `!` behind a new lot.
  fileprivate var words: String {
    let written = written.map { "+\($0.address)=\(String(decoding: $0.content.encoded(), as: UTF8.self))" }
    return ([lot + (isNew ? "!" : "")] + written.sorted() + removed.map { "-\($0)" }.sorted())
      .joined(separator: " ")
  }
}

struct OwnRecordsTests {
  private var own = OwnRecords(RecordsIdentity(id: "p"))

  private static func time(_ seconds: Int) -> MonotonicTime {
    MonotonicTime(nanoseconds: 0) + .seconds(100 + seconds)
  }

  private mutating func keep(
    _ address: String, _ text: String = "1", kind: String = "k", telling kept: OwnRecords.Kept? = nil
  ) {
    own.keep(
      KeptRecord(address: address, kind: kind, content: Text(text: text)), until: Self.time(2), kept)
  }

  /// Everything that is to be written, as it is written.
  private mutating func write(_ succeeds: Bool = true) -> [String] {
    var steps: [String] = []
    while let batch = own.next() {
      steps.append(batch.words)
      guard succeeds else {
        own.failed(batch)
        return steps
      }
      own.wrote(batch)
    }
    return steps
  }

  @Test mutating func `a record is written once, and who waits for it is told`() {
    let answers = Answers()
    keep("a", telling: answers.kept)
    #expect(answers.given.isEmpty)
    #expect(write() == ["p-0-k! +a=1"])
    #expect(answers.given == [true])
    #expect(write() == [])
    keep("a", "2")
    keep("a", "3")
    #expect(write() == ["p-0-k +a=3"])
    own.drop("a")
    #expect(write() == ["p-0-k -a"])
    #expect(own.count == 0 && own.names == ["p-0-k"])
  }

  @Test mutating func `each kind has a lot of its own`() {
    keep("a")
    keep("b", kind: "l")
    #expect(Set(write()) == ["p-0-k! +a=1", "p-0-l! +b=1"])
    // The route asks another view from now on.
    keep("a", "2", kind: "l")
    #expect(Set(write()) == ["p-0-l +a=2", "p-0-k -a"])
    own.rename("l", to: "m")
    keep("c", kind: "m")
    #expect(Set(write()) == ["p-0-m! +a=2 +b=1 +c=1", "p-0-l -a -b"])
  }

  @Test mutating func `what waits in a lot is its route's also when that asks another view`() {
    keep("a")
    #expect(write() == ["p-0-k! +a=1"])
    own.park("a")
    own.rename("k", to: "m")
    #expect(own.parked == ["p-0-k": "m"])
    var reading = LotReading(.init(name: "p-0-k", kind: "k", lastSign: nil), isOwn: true)
    reading.rename("k", to: "m")
    #expect(reading.lot.kind == "m")
    var foreign = LotReading(.init(name: "q-0-k", kind: "k", lastSign: nil))
    foreign.rename("k", to: "m")
    #expect(foreign.lot.kind == "k")
  }

  /// As the next program in the process gets it.
  private static func handed(_ own: OwnRecords) throws -> OwnRecords {
    var writer = RecordWriter()
    own.handed.write(to: &writer)
    return OwnRecords(resuming: try RecordReader.read(writer.bytes[...]))
  }

  @Test mutating func `another program of the process goes on with the same lot`() throws {
    keep("a")
    keep("b")
    keep("c", kind: "l")
    _ = write()
    own = try Self.handed(own)
    #expect(own.identity == RecordsIdentity(id: "p"))
    #expect(Set(own.names) == ["p-0-k", "p-0-l"])
    // What nobody goes on with is read again: "c", whose session has ended.
    #expect(own.parked == ["p-0-k": "k", "p-0-l": "l"])
    keep("a")
    keep("b", "2")
    own.drop("a")
    own.confirmInherited()
    #expect(write() == ["p-0-k +b=2", "p-0-k -a"])
  }

  @Test
  mutating func `a lot that was taken over meanwhile had the sessions that the other program goes on with`()
    throws
  {
    keep("a")
    _ = write()
    own = try Self.handed(own)
    keep("a")
    #expect(own.lost("p-0-k") == ["a"])
    #expect(own.parked == [:])
    own.confirmInherited()
    keep("b")
    #expect(write() == ["p-1-k! +a=1 +b=1"])
  }

  @Test mutating func `a record that is kept in another lot by now is removed where it was found`() throws {
    keep("a")
    _ = write()
    own = try Self.handed(own)
    keep("a", kind: "l")
    own.confirmInherited()
    #expect(write() == ["p-0-l! +a=1"])
    own.found(["a", "z"], in: "p-0-k", of: "k")
    #expect(write() == ["p-0-k -a"])
  }

  @Test mutating func `one that is dropped before it is written leaves nothing`() {
    let answers = Answers()
    keep("a", telling: answers.kept)
    own.drop("a")
    #expect(write() == [] && answers.given == [false])
  }

  @Test mutating func `one that is dropped while it is written is removed after it`() throws {
    let answers = Answers()
    keep("a", telling: answers.kept)
    let next = own.next()
    let batch = try #require(next)
    own.drop("a")
    own.wrote(batch)
    #expect(write() == ["p-0-k -a"] && answers.given == [false])
  }

  @Test mutating func `one that changes while it is written is written again`() throws {
    keep("a")
    let next = own.next()
    let batch = try #require(next)
    keep("a", "2")
    own.wrote(batch)
    #expect(write() == ["p-0-k +a=2"])
  }

  @Test mutating func `what failed is done again, in its last state`() {
    let answers = Answers()
    keep("a", telling: answers.kept)
    keep("b")
    #expect(write(false) == ["p-0-k! +a=1 +b=1"])
    #expect(answers.given == [])
    keep("a", "2")
    own.drop("b")
    #expect(write() == ["p-0-k! +a=2", "p-0-k -b"])
    #expect(answers.given == [true])
    own.drop("a")
    #expect(write(false) == ["p-0-k -a"])
    #expect(write() == ["p-0-k -a"])
  }

  @Test mutating func `nobody waits for longer than may be`() {
    let answers = Answers()
    keep("a", telling: answers.kept)
    _ = write(false)
    own.expire(at: Self.time(1))
    #expect(answers.given == [])
    own.expire(at: Self.time(2))
    #expect(answers.given == [false])
    // It may have been written nevertheless.
    #expect(write() == ["p-0-k -a"])
  }

  @Test mutating func `while there is no connection, nobody waits, and the others stay`() {
    let answers = Answers()
    keep("old")
    _ = write()
    keep("old", "2")
    keep("new", telling: answers.kept)
    own.refuseWaiting()
    #expect(answers.given == [false])
    #expect(write() == ["p-0-k +old=2"])
  }

  @Test mutating func `after a lot is lost everything in it is written into a new one`() {
    keep("a")
    keep("b")
    keep("c", kind: "l")
    _ = write()
    keep("late")
    own.drop("b")
    #expect(own.lost("p-0-k").sorted() == ["a"])
    #expect(own.lost("p-0-k") == [])
    #expect(write() == ["p-1-k! +a=1 +late=1"])
    #expect(own.names.sorted() == ["p-0-l", "p-1-k"])
  }

  @Test mutating func `one that is parked stays there, and is let go of here once it is there`() {
    keep("a")
    _ = write()
    keep("b")
    own.park("a")
    own.park("b")
    own.park("unknown")
    #expect(own.count == 1 && own.parked == ["p-0-k": "k"])
    #expect(write() == ["p-0-k +b=1"])
    #expect(own.count == 0 && !own.has("b"))
    own.unpark("p-0-k")
    #expect(own.parked.isEmpty && own.isEmpty)
  }

  @Test mutating func `much is written in several steps`() {
    for number in 0..<450 { keep("s\(number)") }
    #expect(write().map { $0.split(separator: " ").count - 1 } == [200, 200, 50])
    for number in 0..<450 { own.drop("s\(number)") }
    #expect(write().map { $0.split(separator: " ").count - 1 } == [200, 200, 50])
  }
}
