import TestSupport
import Testing

@testable import Bytes

struct RecordTests {
  /// A record with a field of each kind, and records inside.
  private struct Person: Recorded, Equatable {
    var age: UInt64 = 0
    var name = ""
    var score = 0.0
    var bytes: [UInt8] = []
    var children: [Person] = []
    var isKnown = false

    init(age: UInt64 = 0, name: String = "", children: [Person] = []) {
      (self.age, self.name, self.children) = (age, name, children)
    }

    init(from record: inout RecordReader) throws(RecordedFault) {
      while let field = try record.next() {
        switch field.number {
        case 1: age = try field.unsigned()
        case 2: name = try field.text()
        case 3: score = try field.double()
        case 4: bytes = try field.bytes()
        case 5: children.append(try field.record())
        case 6: isKnown = try field.flag()
        default: break
        }
      }
    }

    func write(to record: inout RecordWriter) {
      record.add(1, age)
      record.add(2, text: name)
      record.add(3, score)
      record.add(4, bytes)
      for child in children { record.add(5, child) }
      record.add(6, isKnown)
    }
  }

  private func bytes(_ value: some Recorded) -> [UInt8] {
    var writer = RecordWriter()
    value.write(to: &writer)
    return writer.bytes
  }

  @Test func `a long record is kept in pieces, and a large value is not copied`() throws {
    var writer = RecordWriter()
    let large = Person(name: "large")
    var family = Person(children: [])
    family.children = (0..<5000).map { Person(age: $0, name: String(repeating: "n", count: 200)) }
    family.children.append(large)
    family.children[2500].bytes = [UInt8](repeating: 7, count: RecordWriter.large)
    writer.add(5, family)
    writer.add(4, family.children[2500].bytes)
    let pieces = writer.pieces
    #expect(pieces.count > 5)
    #expect(pieces.allSatisfy { $0.count < RecordWriter.piece + 1000 })
    #expect(pieces.count { $0 == family.children[2500].bytes } == 2)
    func address(_ bytes: [UInt8]) -> UInt {
      unsafe bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    }
    let own = address(family.children[2500].bytes)
    #expect(pieces.contains { address($0) == own })

    var other = RecordWriter()
    other.add(5, pieces: writer.take())
    #expect(writer.bytes.isEmpty)
    let found = try read(other.bytes)
    #expect(found.children.first?.children == [family])
    #expect(found.children.first?.bytes == family.children[2500].bytes)
  }

  private func read(_ bytes: [UInt8]) throws(RecordedFault) -> Person { try RecordReader.read(bytes[...]) }

  @Test func `what is written is read`() throws {
    var person = Person(age: .max, name: "Zoë", children: [Person(age: 1), Person(name: "b")])
    person.score = -2.5
    person.bytes = [0, 255]
    person.isKnown = true
    #expect(try read(bytes(person)) == person)
    #expect(try read([]) == Person())
  }

  @Test func `fields that a reader does not know are passed over`() throws {
    var writer = RecordWriter()
    writer.add(1, 7)
    writer.add(900, 8)
    writer.add(901, [1, 2, 3])
    writer.record(902) { $0.add(1, text: "inside") }
    writer.add(2, text: "a")
    #expect(try read(writer.bytes) == Person(age: 7, name: "a"))
  }

  @Test func `a record that is cut off is refused, or has fewer fields`() throws {
    let whole = bytes(Person(age: 300, name: "name", children: [Person(age: 5)]))
    for count in 0..<whole.count {
      do throws(RecordedFault) {
        #expect(try bytes(read(Array(whole[..<count]))).count < whole.count)
      } catch {
        #expect(error == .cutOff)
      }
    }
  }

  @Test(
    arguments: [
      ([0x00], "a field has no number"),
      ([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02], "a number has more than 64 bits"),
      ([0x03, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], "it ends too early"),
      ([0x05, 0x01, 0xFF], "field 2 is not UTF-8"),
      ([0x03, 0x00], "field 1 is not a number"),
      ([0x04, 0x00], "field 2 is a number"),
    ])
  func `what is no record is refused`(bytes: [UInt8], text: String) {
    do throws(RecordedFault) {
      _ = try read(bytes)
      Issue.record("it was read")
    } catch {
      #expect(error.description == text)
    }
  }

  @Test func `a time and a count have room for what is added to them`() throws {
    func field(_ number: UInt64) -> RecordField { RecordField(number: 1, value: .number(number)) }
    let last = UInt64(Int64.max)
    #expect(try field(last).time() == last)
    #expect(throws: RecordedFault.self) { try field(last + 1).time() }
    #expect(try field(last / 2).count() == Int.max / 2)
    #expect(throws: RecordedFault.self) { try field(last / 2 + 1).count() }
  }

  @Test func `whatever the bytes are, they are read or refused`() {
    var random = SplitMix(seed: 17)
    let whole = bytes(
      Person(age: 1 << 40, name: "name", children: (0..<20).map { Person(age: $0, name: "child") }))
    for _ in 0..<20_000 {
      var changed = whole
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let place = Int.random(in: changed.indices, using: &random)
        changed[place] = UInt8.random(in: 0...255, using: &random)
      }
      guard let person = try? read(changed) else { continue }
      // What is read can be written, and reads as the same again.
      #expect((try? read(bytes(person))) == person)
    }
  }
}
