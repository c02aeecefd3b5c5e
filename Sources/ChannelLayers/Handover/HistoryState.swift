package import Bytes
import GatewayConfig
import Transport

extension RecordedGroup {
  /// A group's history, for the process that takes this one's place.
  package struct State: Sendable, Recorded {
    package var name = ""
    var epoch: UInt32 = 1
    var lastOffset: UInt64 = 0
    var lastPublished: UInt64 = 0
    var items: [Item] = []

    struct Item: Sendable, Recorded {
      var event = Event(type: "")
      /// Nanoseconds of the monotonic clock.
      var time: UInt64 = 0

      init(_ event: Event, at time: UInt64) { (self.event, self.time) = (event, time) }

      init(from record: inout RecordReader) throws(RecordedFault) {
        while let field = try record.next() {
          switch field.number {
          case 1: event = try field.record()
          case 2: time = try field.time()
          default: break
          }
        }
      }

      func write(to record: inout RecordWriter) {
        record.add(1, event)
        record.add(2, time)
      }
    }

    init(name: String) { self.name = name }

    package init(from record: inout RecordReader) throws(RecordedFault) {
      while let field = try record.next() {
        switch field.number {
        case 1: name = try field.text()
        case 2: epoch = try field.integer()
        case 3: lastOffset = try field.integer(in: 0...EventPosition.largestOffset)
        case 4: lastPublished = try field.time()
        case 5: items.append(try field.record())
        default: break
        }
      }
      guard UInt64(items.count) <= lastOffset else {
        throw RecordedFault("a history has more events than offsets")
      }
    }

    package func write(to record: inout RecordWriter) {
      record.add(1, text: name)
      record.add(2, UInt64(epoch))
      record.add(3, lastOffset)
      record.add(4, lastPublished)
      for item in items { record.add(5, item) }
    }
  }
}

extension GroupHistory {
  /// All that is kept.
  package var states: [RecordedGroup.State] { all().map(\.handedState) }

  /// Takes over what another process has kept. Groups that keep no history any more are left out.
  package func resume(_ states: [RecordedGroup.State]) {
    for state in states {
      guard let limits = rules.limits(of: state.name) else { continue }
      let group = acquire(state.name, limits)
      group.resume(state)
      release(group)
    }
  }
}
