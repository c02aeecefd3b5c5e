import ChannelLayers
import Consumers
import JSON
import Routing
import Sessions
import Testing

@testable import Gateway

/// Who asks a `publish` route.
struct PublishCallerTests {
  private static func caller(_ lane: PublishLane, _ user: String? = nil) -> PublishEndpoint.Caller {
    PublishEndpoint.Caller(
      identity: user.map { Identity(user: $0, claims: .object([])) }, captures: Captures(), lane: lane)
  }

  private static let event = Event(type: "a")
  private static let forAda = event.addressed(to: EventRecipients(user: "ada"))
  private static let notForOne = event.addressed(to: EventRecipients(except: ["specific.x!1"]))
  private static let forNobody = event.addressed(
    to: EventRecipients(except: (0...EventRecipients.mostAddresses).map { "specific.x!\($0)" }))

  @Test(arguments: [
    (caller(.token), [true, true, true, true]), (caller(.user, "ada"), [true, true, true, false]),
    (caller(.user, "bob"), [true, false, true, false]), (caller(.user), [true, false, true, false]),
    (caller(.anonymous), [true, false, true, false]),
  ])
  func `what is for one user is shown to this user and to programs with a token`(
    caller: PublishEndpoint.Caller, shown: [Bool]
  ) {
    let events = [Self.event, Self.forAda, Self.notForOne, Self.forNobody]
    #expect(events.map { caller.maySee($0, of: HistoryReaders([])) } == shown)
  }
}
