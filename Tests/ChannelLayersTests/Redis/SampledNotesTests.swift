import Testing

@testable import ChannelLayers

struct SampledNotesTests {
  @Test func `one of each kind a second, with a count of the others`() {
    var notes = SampledNotes()
    let start = ContinuousClock.now
    #expect(notes.count("a", at: start) == 0)
    #expect(notes.count("a", at: start + .milliseconds(1)) == nil)
    #expect(notes.count("b", at: start + .milliseconds(1)) == 0)
    #expect(notes.count("a", at: start + .milliseconds(999)) == nil)
    #expect(notes.count("a", at: start + .seconds(1)) == 2)
    #expect(notes.count("a", at: start + .seconds(3)) == 0)
  }
}
