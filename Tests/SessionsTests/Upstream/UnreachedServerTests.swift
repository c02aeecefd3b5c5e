import Glibc
import NIOCore
import NetworkFaults
import Testing
import Transport

@testable import GatewayConfig
@testable import Sessions

struct UnreachedServerTests {
  private let remote = UpstreamConfiguration(scheme: .http, host: "10.0.0.7", port: 80)

  private var local: UpstreamConfiguration {
    var upstream = UpstreamConfiguration(scheme: .http, host: "localhost", port: 80)
    upstream.socket = "/run/app.sock"
    return upstream
  }

  private func fault(_ code: Int32, _ upstream: UpstreamConfiguration) -> AnswerFault {
    AnswerFault(TransportFailure.cannotConnect(code), from: upstream)
  }

  @Test(arguments: [
    (ECONNREFUSED, "Connection refused", "start the server that should listen at 10.0.0.7:80"),
    (EACCES, "Permission denied", "connections to 10.0.0.7:80"),
    (EHOSTUNREACH, "No route to host", "compare the address 10.0.0.7:80"),
    (ENETUNREACH, "Network is unreachable", "compare the address 10.0.0.7:80"),
    (ETIMEDOUT, "Connection timed out", "a firewall may drop"),
  ])
  func `a server that cannot be reached is named with its host and port`(
    _ code: Int32, _ reason: String, _ hint: String
  ) {
    let fault = fault(code, remote)
    #expect(fault.reason == reason)
    #expect(fault.hint?.contains(hint) == true && fault.hint?.contains("10.0.0.7:80") == true)
  }

  @Test(arguments: [
    (ENOENT, "--bind unix:/run/app.sock"), (ECONNREFUSED, "the socket file /run/app.sock is there"),
    (EACCES, "let the user of this process write to /run/app.sock"),
  ])
  func `a Unix socket is named with its path`(_ code: Int32, _ hint: String) {
    #expect(fault(code, local).hint?.contains(hint) == true)
  }

  @Test func `a container is thought of where the address is this machine`() {
    let own = UpstreamConfiguration(scheme: .http, host: "127.0.0.1", port: 8001)
    #expect(
      fault(ECONNREFUSED, own).hint?.hasSuffix("in a container, 127.0.0.1 is the container itself") == true)
    #expect(fault(ECONNREFUSED, remote).hint?.contains("container") == false)
    let six = UpstreamConfiguration(scheme: .http, host: "::1", port: 8001)
    #expect(fault(ECONNREFUSED, six).hint?.contains("at [::1]:8001,") == true)
  }

  @Test func `what happens on a connection has no such hint`() {
    #expect(Unreached(code: ECONNRESET) == nil && Unreached(code: EPIPE) == nil)
    #expect(fault(ECONNRESET, remote).hint == nil)
    #expect(Unreached(ChannelError.eof) == nil)
  }

  @Test func `a time-out is told in words`() {
    let fault = AnswerFault(ChannelError.connectTimeout(.seconds(5)), from: remote)
    #expect(fault.reason == "no answer in time" && fault.hint?.contains("10.0.0.7:80") == true)
    #expect(
      AnswerFault(UpstreamFetcher.TimedOut(), from: remote).hint?.contains("a worker of 10.0.0.7") == true)
  }
}
