import LayerTestSupport
import Testing

@testable import RedisLayers

struct LayerNotesTests {
  @Test func `each kind of warning has a pace of its own`() {
    let lines = LogLines()
    let notes = LayerNotes(of: "default", log: lines.log)
    for number in 0..<3 {
      notes.write("an event was lost", "\(number)")
      notes.write("a group was refused", "\(number)")
    }
    #expect(lines.all == ["warning an event was lost", "warning a group was refused"])
  }
}
