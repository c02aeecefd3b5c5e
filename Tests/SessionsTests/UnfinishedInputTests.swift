import GatewayConfig
import LayerTestSupport
import NIOPosix
import Testing
import Transport

@testable import Sessions

/// One that has begun a message, and counts again when it gives it up.
private final class Holder: InputHolder {
  let routeName = "route"
  private unowned let input: UnfinishedInput
  private let calls: Calls
  private var part: UnfinishedInput.Part?

  final class Calls {
    var count = 0
    var depth = 0
    var deepest = 0
  }

  init(_ bytes: Int, in input: UnfinishedInput, _ calls: Calls) {
    self.input = input
    self.calls = calls
    part = input.count(bytes, of: self, nil)
  }

  func giveUpInput() {
    calls.count += 1
    calls.depth += 1
    calls.deepest = max(calls.deepest, calls.depth)
    part = input.count(0, of: self, part)
    input.relieve()
    calls.depth -= 1
  }
}

struct UnfinishedInputTests {
  @Test func `sessions that are given up do not give up others from within`() throws {
    let configuration = try ConfigurationLoader.configuration(
      of: """
        installed_apps: [echo]
        limits: {receive_memory: 1MiB, message: 1KiB}
        applications: {main: {websocket: [{path: ws/, consumer: echo}]}}
        """)
    let (count, deepest) = try onReactor { reactor in
      let process = ProcessState(
        configuration, ServedLayers([]),
        sendMemory: MemoryBound(nil, otherwise: 1 << 20, .sending, log: .quiet),
        memory: MemoryLimit.ofProcess(), threads: 1, connectionLimit: 10,
        loops: MultiThreadedEventLoopGroup.singleton, log: .quiet)
      let input = UnfinishedInput(process, reactor: reactor)
      let calls = Holder.Calls()
      let holders = (0..<1000).map { _ in Holder(8192, in: input, calls) }
      input.relieve()
      // All live as long as the reactor.
      _ = reactor.mailbox { (_: Int) in withExtendedLifetime((input, holders)) {} }
      return (calls.count, calls.deepest)
    }
    // 1 MiB is 128 of them.
    #expect(count > 1000 - 128 && count < 1000)
    #expect(deepest == 1)
  }
}
