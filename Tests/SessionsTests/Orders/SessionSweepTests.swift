import Consumers
import GatewayConfig
import LayerTestSupport
import NIOPosix
import Testing
import Transport

@testable import Sessions

struct SessionSweepTests {
  private final class Nobody: UserSession {
    let identity: Identity? = nil
    func close(_ reason: CloseReason) {}
  }

  @Test func `a large order is taken, and further ones only while their sessions have room`() throws {
    let configuration = try ConfigurationLoader.configuration(
      of: "installed_apps: [echo]\napplications: {main: {websocket: [{path: ws/, consumer: echo}]}}")
    let taken = try onReactor { reactor in
      let memory = MemoryBound(nil, otherwise: 1 << 20, .sending, log: .quiet)
      let process = ProcessState(
        configuration, ServedLayers([]), sendMemory: memory, memory: MemoryLimit.ofProcess(), threads: 1,
        connectionLimit: 10, loops: MultiThreadedEventLoopGroup.singleton, log: .quiet)
      let sessions = WorkerSessions(on: reactor, number: 0, process: process)
      // It lives as long as the reactor.
      _ = reactor.mailbox { (_: Int) in withExtendedLifetime(sessions) {} }
      let many = Array(repeating: Nobody() as any UserSession, count: 2 * SessionSweep.mostMembers)
      return [[], many, [Nobody()], []].map { users in
        sessions.sweep.run(OrderCandidates(ofUser: users)) { _ in
        } _: {
        }
      }
    }
    #expect(taken == [true, true, false, true])
  }
}
