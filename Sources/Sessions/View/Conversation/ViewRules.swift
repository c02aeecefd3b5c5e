import DequeModule
import GatewayConfig

/// What a route's file says of the questions about one session.
struct ViewRules: Equatable {
  /// `batch`, as each session has it.
  private var most: UInt32 = 1
  /// Whether one question is under way at a time.
  var isOrdered = true
  var onFailure = ViewConfiguration.OnFailure.wait
  /// Whether a question is asked again that the view may have handled.
  var repeatsReceive = false
  var asksConnect = true
  var asksReceive = true

  /// The most messages in one question.
  var batch: Int {
    get { Int(most) }
    set { most = UInt32(clamping: newValue) }
  }

  /// How many questions of one session are under way without an order, so that it leaves some to the others.
  var mostAtOnce: Int { 8 }

  init() {}

  init(_ view: ViewConfiguration) {
    asksConnect = view.on.contains(.connect)
    asksReceive = view.on.contains(.receive)
    batch = view.batch
    isOrdered = view.order == .session
    onFailure = view.onFailure
    repeatsReceive = view.repeatsReceive
  }
}

/// How long a view is asked again that does not handle the messages of a session, whether it fails or answers and takes none of them.
struct ViewPatience {
  /// How long a question is repeated before the session is given up.
  static let total = Duration.seconds(30)
  private static let pauses = Backoff(first: .milliseconds(250), longest: .seconds(4))

  var isWaiting = false
  /// Each session has both: they take less than an `Int` and a `Duration`.
  private var answers: UInt8 = 0
  private var spentMilliseconds: UInt32 = 0

  private var spent: Duration { .milliseconds(Int(spentMilliseconds)) }

  /// The next pause; nil if there were enough.
  mutating func next() -> Duration? {
    guard spent < Self.total else { return nil }
    answers &+= 1
    let pause = Self.pauses.pause(after: Int(answers))
    spend(pause)
    isWaiting = true
    return pause
  }

  mutating func spend(_ time: Duration) {
    spentMilliseconds = UInt32(clamping: Int(spentMilliseconds) + Int(time / .milliseconds(1)))
  }

  var left: Duration { max(Self.total - spent, .zero) }
}

/// An answer that is being carried out.
struct ViewCarrying {
  let question: ViewConversation.Question
  /// Those that are left.
  var actions: ArraySlice<ViewAnswer.Action>
  let state: [UInt8]?
  let idle: ViewAnswer.Idle?
  let failedFor: Duration
  /// Whether it has let the client in.
  let isFirst: Bool
  var hasTakenNothing = false
  /// The index of the last action that joins a group, and of the last one that leaves it.
  private var lastJoins: [String: Int] = [:]
  private var lastLeaves: [String: Int] = [:]

  init(_ answer: ViewAnswer, of question: ViewConversation.Question, isFirst: Bool = false) {
    self.question = question
    actions = answer.actions[...]
    state = answer.state
    idle = answer.idle
    failedFor = answer.failedFor
    self.isFirst = isFirst
    for (index, action) in answer.actions.enumerated() {
      switch action {
      case .join(let group): lastJoins[group] = index
      case .leave(let group): lastLeaves[group] = index
      case .send, .publish, .close: break
      }
    }
  }

  /// Whether one of those that are left joins the group.
  func joinsLater(_ group: String) -> Bool { isLeft(lastJoins[group]) }

  /// Whether one of those that are left leaves the group.
  func leavesLater(_ group: String) -> Bool { isLeft(lastLeaves[group]) }

  private func isLeft(_ index: Int?) -> Bool { index.map { $0 >= actions.startIndex } ?? false }

  var isOfReceive: Bool {
    if case .receive = question { true } else { false }
  }
}

/// Messages of a client that its view was not asked about yet.
struct WaitingMessages {
  /// The longest body of a question, as far as its messages make it. A longer message is asked about alone. Bytes.
  static let longestBody = 2 * 1024 * 1024

  /// In the order of their numbers.
  private var messages: Deque<ViewQuestion.Message> = []
  /// The memory that they take.
  private(set) var bytes = 0

  var isEmpty: Bool { messages.isEmpty }
  var count: Int { messages.count }

  /// Whether they make a question.
  func isFull(_ batch: Int) -> Bool { messages.count >= batch || bytes >= Self.longestBody }

  mutating func append(_ message: ViewQuestion.Message) {
    messages.append(message)
    bytes += message.memory
  }

  /// These come first again.
  mutating func putBack(_ first: ArraySlice<ViewQuestion.Message>) {
    guard !first.isEmpty else { return }
    let next = messages.first?.number ?? .max
    messages.prepend(contentsOf: first)
    // Without an order several questions may come back.
    if (first.last?.number ?? 0) > next { messages.sort { $0.number < $1.number } }
    bytes += first.reduce(0) { $0 + $1.memory }
  }

  /// Drops those behind the first so many.
  ///
  /// - Returns: how many that were.
  mutating func keep(first most: Int) -> Int {
    let excess = messages.count - most
    guard excess > 0 else { return 0 }
    bytes -= messages.suffix(excess).reduce(0) { $0 + $1.memory }
    messages.removeLast(excess)
    return excess
  }

  /// Takes the messages of the next question.
  mutating func take(_ batch: Int) -> [ViewQuestion.Message] {
    var (count, length) = (0, 0)
    for message in messages.prefix(batch) {
      length += batch == 1 ? 0 : message.writtenLength
      guard count == 0 || length <= Self.longestBody else { break }
      count += 1
    }
    let taken = Array(messages.prefix(count))
    messages.removeFirst(count)
    // Nothing is kept for a client that sends nothing more.
    if messages.isEmpty { messages = [] }
    bytes -= taken.reduce(0) { $0 + $1.memory }
    return taken
  }
}

extension ViewQuestion.Message {
  private var content: [UInt8] {
    switch payload {
    case .text(let bytes), .bytes(let bytes): bytes
    }
  }

  /// Roughly the memory that it takes, in bytes.
  var memory: Int { 64 + content.count }

  /// At most the bytes that it takes in a question.
  fileprivate var writtenLength: Int {
    switch payload {
    case .bytes(let bytes): 64 + (bytes.count + 2) / 3 * 4
    case .text(let text): 64 + text.reduce(0) { $0 + Self.length(of: $1) }
    }
  }

  /// In a string of JSON, however it is written.
  private static func length(of byte: UInt8) -> Int {
    switch byte {
    case ..<0x20, 0x7F: 6
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): 2
    default: 1
    }
  }
}
