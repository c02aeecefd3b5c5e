import Routing
import TestSupport
import Testing
import Transport

@testable import ChannelLayers
@testable import GatewayConfig

private func history(
  _ messages: Int, _ age: Duration = .seconds(60), memory: HistoryMemory = HistoryMemory()
) throws -> GroupHistory {
  var rules = HistoryRules()
  rules.add(
    try GroupPattern.parse(template: "{any}").get(), HistoryConfiguration(messages: messages, age: age))
  return GroupHistory(rules, memory: memory)
}

extension GroupHistory {
  fileprivate func acquire(_ name: String, at seconds: Int = 0) throws -> RecordedGroup {
    acquire(name, try #require(rules.limits(of: name)), at: time(seconds))
  }
}

private func time(_ seconds: Int) -> MonotonicTime {
  MonotonicTime(nanoseconds: UInt64(1000 + seconds) * 1_000_000_000)
}

private func event(_ number: Int, size: Int = 0) -> Event {
  Event(type: "e\(number)", fields: size == 0 ? [] : [.init("b", .bytes(Array(repeating: 1, count: size)))])
}

struct GroupHistoryTests {
  @Test func `what is read follows what was read before`() throws {
    let group = try history(10).acquire("g")
    let start = group.last
    #expect(start.offset == 0)
    for number in 1...3 { group.append(event(number), at: time(0)) }
    let all = group.read(behind: nil, at: time(0))
    #expect(all.start == start && !all.isGap && all.isLast)
    #expect(all.events.map(\.type) == ["e1", "e2", "e3"])
    #expect(all.events.map(\.position?.offset) == [1, 2, 3])
    let rest = group.read(behind: EventPosition(epoch: start.epoch, offset: 2), at: time(0))
    #expect(rest.events.map(\.type) == ["e3"] && !rest.isGap)
    let none = group.read(behind: rest.end, at: time(0))
    #expect(none == HistorySlice(start: rest.end))
  }

  @Test func `a position that is not kept any more, not yet there, or of another epoch is a gap`() throws {
    let group = try history(2).acquire("g")
    for number in 1...5 { group.append(event(number), at: time(0)) }
    let epoch = group.last.epoch
    for position in [
      EventPosition(epoch: epoch, offset: 2), EventPosition(epoch: epoch, offset: 6),
      EventPosition(epoch: epoch &+ 1, offset: 4),
    ] {
      let slice = group.read(behind: position, at: time(0))
      #expect(slice.isGap && slice.start == EventPosition(epoch: epoch, offset: 3), "\(position)")
      #expect(slice.events.map(\.type) == ["e4", "e5"])
    }
    // The oldest one is missing nothing.
    #expect(!group.read(behind: EventPosition(epoch: epoch, offset: 3), at: time(0)).isGap)
  }

  @Test func `what is too old is not read, and the position behind it still holds`() throws {
    let group = try history(10, .seconds(60)).acquire("g")
    group.append(event(1), at: time(0))
    group.append(event(2), at: time(30))
    #expect(group.read(behind: nil, at: time(59)).events.count == 2)
    #expect(group.read(behind: nil, at: time(60)).events.map(\.type) == ["e2"])
    #expect(group.read(behind: nil, at: time(90)).events.isEmpty)
    #expect(!group.read(behind: group.last, at: time(90)).isGap)
    #expect(group.append(event(3), at: time(91)).offset == 3)
  }

  @Test func `a slice ends where it was told to`() throws {
    let group = try history(10).acquire("g")
    for number in 1...4 { group.append(event(number, size: 1000), at: time(0)) }
    let part = group.read(behind: nil, bytes: 2500, at: time(0))
    #expect(part.events.count == 2 && !part.isLast)
    #expect(group.read(behind: nil, bytes: 1, at: time(0)).events.count == 1)
    let limit = EventPosition(epoch: group.last.epoch, offset: 3)
    #expect(group.read(behind: part.end, upTo: limit, at: time(0)).events.map(\.type) == ["e3"])
    #expect(group.read(behind: limit, upTo: limit, at: time(0)).events.isEmpty)
  }

  @Test func `memory is bounded by taking from those that were published to longest ago`() throws {
    let memory = HistoryMemory(limit: 100_000)
    let history = try history(1000, .seconds(3600), memory: memory)
    let (old, busy) = (try history.acquire("old"), try history.acquire("busy"))
    let first = old.append(event(0, size: 1000), at: time(0))
    for number in 1...500 {
      busy.append(event(number, size: 1000), at: time(number))
      #expect(memory.usedBytes <= 100_000)
    }
    #expect(old.read(behind: EventPosition(epoch: first.epoch, offset: 0), at: nil).isGap)
    // It is used, so it goes on counting: who had it all misses nothing.
    #expect(!old.read(behind: first, at: nil).isGap)
    let kept = busy.read(behind: nil, at: nil)
    #expect(kept.events.last?.type == "e500" && kept.events.count > 50 && kept.events.count < 100)
    #expect(kept.events.map { Int($0.position?.offset ?? 0) } == Array((501 - kept.events.count)...500))
  }

  @Test func `groups that take up all the memory leave some for events`() throws {
    let memory = HistoryMemory(limit: 100_000)
    let history = try history(1000, .seconds(3600), memory: memory)
    let groups = try (0..<400).map { try history.acquire("g\($0)") }
    let held = groups.count * RecordedGroup.emptySize
    #expect(memory.usedBytes == held && held > 100_000)
    for number in 1...200 {
      let position = groups[0].append(event(number, size: 1000), at: time(number))
      let behind = EventPosition(epoch: position.epoch, offset: position.offset - 1)
      #expect(groups[0].read(behind: behind, at: nil).events.map(\.type) == ["e\(number)"])
      #expect(memory.usedBytes <= held + 25_000)
    }
    for group in groups { history.release(group, at: time(200)) }
    // Nobody holds them any more: the limit is what it was.
    for number in 0..<1000 {
      history.release(try history.acquire("h\(number)", at: 201), at: time(201))
      #expect(memory.usedBytes <= 100_000)
    }
  }

  @Test func `what is too old goes also while the group is used and nobody says anything`() throws {
    let memory = HistoryMemory()
    let history = try history(10, .seconds(60), memory: memory)
    let group = try history.acquire("g")
    group.append(event(1, size: 10_000), at: time(0))
    for number in 0..<1000 { history.release(try history.acquire("h\(number)", at: 100), at: time(100)) }
    #expect(memory.usedBytes == history.groupCount * RecordedGroup.emptySize)
    #expect(group.last.offset == 1)
  }

  @Test func `what is too old goes where nobody comes any more`() throws {
    let memory = HistoryMemory()
    let history = try history(10, .seconds(60), memory: memory)
    for number in 0..<200 {
      let group = try history.acquire("g\(number)")
      group.append(event(number, size: 10_000), at: time(0))
      history.release(group, at: time(0))
    }
    let held = memory.usedBytes
    memory.forgetOld(at: time(30))
    #expect(memory.usedBytes == held && held > 2_000_000)
    memory.forgetOld(at: time(100))
    #expect(memory.usedBytes == 0 && history.groupCount == 0)
  }

  @Test func `groups that nobody uses are forgotten, and nothing of them stays`() throws {
    let memory = HistoryMemory()
    let history = try history(10, .seconds(60), memory: memory)
    let epochs = try (0..<200).map { number in
      let group = try history.acquire("g\(number)")
      group.append(event(number), at: time(0))
      history.release(group, at: time(0))
      return group.last
    }
    let same = try history.acquire("g7", at: 30)
    #expect(same.last == epochs[7])
    history.release(same, at: time(30))
    // Each part of the table is looked through when it is touched.
    for number in 1000..<2000 { history.release(try history.acquire("h\(number)", at: 100), at: time(100)) }
    let again = try history.acquire("g7", at: 100)
    #expect(again.last.offset == 0 && again.last.epoch != epochs[7].epoch)
    history.release(again, at: time(100))
    for number in 2000..<3000 { history.release(try history.acquire("i\(number)", at: 300), at: time(300)) }
    for number in 3000..<4000 { history.release(try history.acquire("j\(number)", at: 500), at: time(500)) }
    #expect(history.groupCount <= 2000)
    #expect(memory.usedBytes == history.groupCount * RecordedGroup.emptySize)
  }

  @Test func `a copy takes each event once, in its place`() throws {
    let group = try history(10).acquire("g")
    let epoch: UInt32 = 77
    func insert(_ offset: UInt64, _ stamp: UInt64 = 1, epoch: UInt32 = 77) -> RecordedGroup.Insertion {
      group.insert(
        event(Int(offset)), at: EventPosition(epoch: epoch, offset: offset), time: time(0), stamp: stamp)
    }
    #expect(insert(1) == .ahead)
    group.restart(behind: EventPosition(epoch: epoch, offset: 4))
    #expect(insert(5) == .inserted)
    #expect(insert(5) == .known)
    #expect(insert(5, 2) == .contradicts)
    #expect(insert(7) == .ahead)
    #expect(insert(6) == .inserted)
    #expect(insert(7, epoch: 78) == .ahead)
    #expect(insert(3) == .known)
    #expect(group.read(behind: nil, at: time(0)).events.map(\.type) == ["e5", "e6"])
    #expect(group.read(behind: EventPosition(epoch: epoch, offset: 3), at: time(0)).isGap)
  }

  @Test func `what goes on under another epoch is not delivered again`() throws {
    let group = try history(10).acquire("g")
    func insert(_ offset: UInt64, stamp: UInt64, epoch: UInt32) {
      let position = EventPosition(epoch: epoch, offset: offset)
      #expect(group.insert(event(Int(stamp)), at: position, time: time(0), stamp: stamp) == .inserted)
    }
    group.restart(behind: EventPosition(epoch: 7, offset: 0))
    for offset in 1...4 { insert(UInt64(offset), stamp: UInt64(offset), epoch: 7) }
    let delivered = group.last
    // The original lost the last two.
    group.restart(behind: EventPosition(epoch: 8, offset: 0))
    for offset in 1...2 { insert(UInt64(offset), stamp: UInt64(offset), epoch: 8) }
    let slice = group.read(behind: delivered, at: nil, skipsRepeated: true)
    #expect(slice == HistorySlice(start: EventPosition(epoch: 8, offset: 2), isGap: true))
    insert(3, stamp: 9, epoch: 8)
    #expect(group.read(behind: slice.end, at: nil, skipsRepeated: true).events.map(\.type) == ["e9"])
    // Who comes back gets all there is, as it cannot be known what it has.
    #expect(group.read(behind: delivered, at: time(0)).events.map(\.type) == ["e1", "e2", "e9"])
  }

  @Test func `a reactor in the middle of it delivers nothing again either`() throws {
    let group = try history(10).acquire("g")
    group.restart(behind: EventPosition(epoch: 7, offset: 0))
    for offset in 1...4 {
      let position = EventPosition(epoch: 7, offset: UInt64(offset))
      _ = group.insert(event(offset), at: position, time: time(0), stamp: UInt64(offset))
    }
    var end = group.last
    group.restart(behind: EventPosition(epoch: 8, offset: 0))
    for offset in 1...6 {
      let position = EventPosition(epoch: 8, offset: UInt64(offset))
      _ = group.insert(event(offset), at: position, time: time(0), stamp: UInt64(offset))
      let slice = group.read(behind: end, at: nil, skipsRepeated: true)
      #expect(slice.events.map(\.type) == (offset > 4 ? ["e\(offset)"] : []))
      end = slice.end
    }
  }

  @Test(arguments: 0..<20)
  func `any reader sees each event once and in order, or is told of a gap`(_ seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    let memory = HistoryMemory(limit: 20_000)
    let history = try history(Int.random(in: 1...30, using: &random), .seconds(20), memory: memory)
    let group = try history.acquire("g")
    let other = try history.acquire("other")
    var now = 0
    var written = 0
    var readers: [EventPosition] = [group.last, group.last, group.last]
    for _ in 0..<2000 {
      now += Int.random(in: 0...3, using: &random)
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<5:
        written += 1
        group.append(event(written, size: Int.random(in: 0...900, using: &random)), at: time(now))
      case 5: other.append(event(0, size: 3000), at: time(now))
      default:
        let reader = Int.random(in: 0..<readers.count, using: &random)
        let slice = group.read(
          behind: readers[reader], bytes: Int.random(in: 1...2000, using: &random),
          at: Bool.random(using: &random) ? time(now) : nil)
        #expect(slice.isGap == (slice.start != readers[reader]))
        #expect(slice.start.offset >= readers[reader].offset)
        for (index, event) in slice.events.enumerated() {
          #expect(event.position?.offset == slice.start.offset + UInt64(index) + 1)
          // What was written as the nth has the nth offset.
          #expect(event.type == "e\(event.position?.offset ?? 0)")
        }
        #expect(slice.isLast == (slice.end == group.last))
        readers[reader] = slice.end
      }
      #expect(memory.usedBytes <= 20_000)
    }
  }
}
