import Bytes
import ChannelLayers
import Testing

@testable import RedisLayers

struct PresenceMessageTests {
  @Test func `a change comes back as it was written`() {
    let changes = [
      PeerChange(
        process: "1f", sequence: 3, previous: 2, joined: [ExactText(text: "a"), ExactText(text: "é\"")],
        left: [ExactText(text: "b")]),
      PeerChange(.all, process: "1f", sequence: 4, joined: [], anonymous: 7),
      PeerChange(.gone, process: "1f", sequence: 5, previous: 4),
    ]
    for change in changes { #expect(PresenceMessage(change.encoded) == .change(change)) }
    #expect(PresenceMessage(Array(#"{"process":"1f","dead":true}"#.utf8)) == .dead(process: "1f"))
  }

  @Test(arguments: [
    "", "{}", "[]", #"{"process": 1}"#, #"{"process": "a", "dead": false}"#,
    #"{"process":"a","kind":"all","sequence":1,"previous":0,"anonymous":-1,"joined":[],"left":[]}"#,
    #"{"process":"a","kind":"all","sequence":1,"previous":0,"anonymous":0,"joined":{},"left":[]}"#,
  ])
  func `what is no message of ours is none`(_ text: String) {
    #expect(PresenceMessage(Array(text.utf8)) == nil)
  }
}
