import DequeModule
import Transport
import WebSocketCore

/// What a session and its view have with each other only for a while: one that is quiet has none of it, and takes no memory for it.
final class ViewActivity {
  /// Until *connect* is answered.
  var entrance: ViewEntrance?
  /// What has come since *connect* was asked; nil once it was sent.
  var held: HeldEvents?
  /// Those that came while another one was carried out.
  var events: Deque<ViewConversation.Event> = []
  /// The group that the answer under way waits for.
  var awaited: String?
  /// Set until a view that has handled nothing is asked again.
  var pause: Timer?
  /// Set until a session is asked about because it is quiet.
  var rest: Timer?
  /// Set until a long answer goes on.
  var turn: Timer?
  /// What its messages take that wait for the view.
  var part: UnfinishedInput.Part?
  /// Why the session ends, by the side that has spoken first.
  var farewell: (code: CloseCode, reason: String)?

  var isOver: Bool {
    entrance == nil && held == nil && events.isEmpty && awaited == nil && pause == nil && rest == nil
      && turn == nil && part == nil && farewell == nil
  }

  func nextEvent() -> ViewConversation.Event? { events.popFirst() }

  /// The client is gone: nobody is waited for, and nobody gets what was held.
  func leaveClient() {
    held = nil
    pause?.cancel()
    pause = nil
    rest?.cancel()
    rest = nil
  }
}
