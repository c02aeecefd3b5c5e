import ArgumentParser
import Bench
import Gateway

struct BenchPublishCommand: BenchWorkload {
  static let configuration = CommandConfiguration(
    commandName: "publish",
    abstract: "Send requests that publish to a group, and measure their answers and what listeners get.",
    discussion: """
      The URL is that of a `publish` route. Each connection begins with a request that is not counted. With --listen there are \
      listeners in the group: sessions (ws://, wss://) or event streams (http://, https://), whose messages are counted as those \
      of `fanout`. --template is for other servers.

      EXAMPLES
        sluice bench publish --group chat_lobby --token-env PUBLISH_TOKEN http://127.0.0.1:8000/api/publish/
        sluice bench publish --group chat_lobby --token-env PUBLISH_TOKEN --listeners 1000 \
      --listen ws://127.0.0.1:8000/ws/chat/lobby/ http://127.0.0.1:8000/api/publish/
        sluice bench publish --template '{body}' http://127.0.0.1:8080/pub
      """)

  @OptionGroup var common: BenchOptions
  @OptionGroup var message: BenchRequestOptions

  @Option(help: "Requests under way on each connection, 1 to 1024.")
  var inFlight = 1

  @Option(help: ArgumentHelp("The URL of a route of the group, for listeners.", valueName: "url"))
  var listen: String?

  @Option(help: "Number of listeners, 1 to 200000; 100 with --listen.")
  var listeners: Int?

  func validate() throws {
    try check(inFlight, in: 1...1024, "--in-flight")
    if let listeners {
      guard listen != nil else { throw ValidationError("--listeners needs --listen.") }
      try check(listeners, in: 1...200_000, "--listeners")
    }
    try requireSense()
  }

  var work: Load.Work { .publish(inFlight: inFlight) }
  var speech: Target.Speech { .publishing }

  func complete(_ load: inout Load) throws(BenchFailure) {
    message.complete(&load)
    guard let listen else { return }
    let target = try Target(listen, listen.hasPrefix("http") ? .events : .webSocket)
    load.listeners = Load.Listeners(target, count: listeners ?? 100)
  }
}

struct BenchEventsCommand: BenchWorkload {
  static let configuration = CommandConfiguration(
    commandName: "events",
    abstract: "Publish to a group with requests, and measure the deliveries to all its event streams.",
    discussion: """
      The URL is that of an `events` route, --publish that of a `publish` route which allows the group. The connections of \
      --connections are the streams. Everything else is as for `fanout`.

      EXAMPLES
        sluice bench events --publish http://127.0.0.1:8000/api/publish/ --group news --token-env PUBLISH_TOKEN \
      http://127.0.0.1:8000/events/news/
        sluice bench events --publish http://127.0.0.1:8080/pub --template '{body}' http://127.0.0.1:8080/sub
      """)

  @OptionGroup var common: BenchOptions
  @OptionGroup var message: BenchRequestOptions
  @OptionGroup var pace: BenchPaceOptions

  @Option(help: ArgumentHelp("The URL to publish at: http:// or https://.", valueName: "url"))
  var publish: String

  func validate() throws {
    try check(publish, for: .publishing, "--publish")
    try requireSense()
  }

  var work: Load.Work { .events(publishers: pace.publishers, pace.pace) }
  var speech: Target.Speech { .events }

  func complete(_ load: inout Load) throws(BenchFailure) {
    message.complete(&load)
    load.publishing = try Target(publish, .publishing)
  }
}

/// The options of loads that publish with requests.
struct BenchRequestOptions: ParsableArguments {
  @Option(help: "The group to publish to.")
  var group: String?

  @Option(
    help: ArgumentHelp(
      "Environment variable with the token of the publish route.", valueName: "name"))
  var tokenEnv: String?

  @Option(help: "Bytes of the text in each message, 1 to 16777216; 32 or more if anybody gets it.")
  var size = 64

  @Option(
    help: ArgumentHelp(
      "Body of each request, instead of JSON with the group; it must contain \(MessageShape.place) once, where the text is put.",
      valueName: "text"))
  var template: String?

  func validate() throws {
    try check(size, in: 1...(16 << 20), "--size")
    guard (group == nil) != (template == nil) else {
      throw ValidationError("Either --group or --template is needed.")
    }
    if let group, let fault = PublishTarget.fault(inGroup: group) { throw ValidationError(fault + ".") }
    if let tokenEnv { _ = try PublishToken.read(from: tokenEnv) }
  }

  func complete(_ load: inout Load) {
    load.message = MessageShape(
      textSize: size, template: template ?? MessageShape.publishing(to: group ?? ""))
    load.token = tokenEnv.flatMap { try? PublishToken.read(from: $0) }
  }
}
