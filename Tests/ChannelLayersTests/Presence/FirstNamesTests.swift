import Bytes
import JSON
import TestSupport
import Testing

@testable import ChannelLayers

struct FirstNamesTests {
  @Test func `they are always the first ones of the set, whatever comes and goes`() {
    var random = SplitMix(seed: 1)
    for most in [1, 2, 5, 40] {
      var names = FirstNames(most: most)
      var all: Set<ExactText> = []
      for _ in 0..<3000 {
        let name = ExactText(text: String(Int.random(in: 0..<(most * 6), using: &random)))
        // As many go as come, and at times nearly all of them.
        if all.remove(name) != nil {
          names.remove(name)
        } else if all.count < most * 5 {
          all.insert(name)
          names.insert(name)
        }
        if Int.random(in: 0..<4, using: &random) == 0 {
          let sorted = all.sorted(by: FirstNames.precedes).prefix(most)
          #expect(Array(names.prefix(of: all)) == Array(sorted))
        }
      }
    }
  }

  @Test func `names that look the same are different ones`() {
    var names = FirstNames()
    let composed = ExactText(text: "\u{e9}")
    let combined = ExactText(text: "e\u{301}")
    names.insert(composed)
    names.insert(combined)
    names.remove(combined)
    #expect(Array(names.prefix(of: [composed])) == [composed])
  }
}
