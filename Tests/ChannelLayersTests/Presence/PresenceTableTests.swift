import Bytes
import Testing

@testable import ChannelLayers

struct PresenceTableTests {
  private func state(of group: String, _ users: String...) -> GroupPresence.State {
    var state = GroupPresence.State(group: group)
    state.announced = users
    return state
  }

  @Test func `what was known in another process counts for those who go on, and for nobody who comes later`()
    async
  {
    let table = PresenceTable()
    table.resume([state(of: "room", "ann", "ben"), state(of: "quiet", "zoe")])
    table.resume("room", ExactText(text: "ann"), on: 0)
    _ = table.announcements(at: .now)
    // He may be loading his page anew, for a moment.
    #expect(table.list(of: "room") == PresenceList(users: ["ann", "ben"], anonymous: 0, count: 2))
    // Once it runs, all are there who go on. It ends at once.
    table.stop()
    await table.run()
    _ = table.join("quiet", ExactText(text: "cleo"), on: 0)
    _ = table.announcements(at: .now)
    #expect(table.list(of: "quiet") == PresenceList(users: ["cleo"], anonymous: 0, count: 1))
  }
}
