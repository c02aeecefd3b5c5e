import Testing

@testable import WebSocketCore

private let keeping = CompressionPolicy(serverContext: .kept, clientContext: .kept, windowBits: 15)
private let forgetting = CompressionPolicy(serverContext: .none, clientContext: .none, windowBits: 15)
private let shared = CompressionPolicy(serverContext: .none, clientContext: .kept, windowBits: 15)
private let small = CompressionPolicy(serverContext: .kept, clientContext: .kept, windowBits: 10)

/// The answer to an offer; "" declines it.
private func answer(_ policy: CompressionPolicy, _ values: String...) -> String? {
  ExtensionOffer.parse(values).map { policy.choose(from: $0)?.response ?? "" }
}

struct CompressionAgreementTests {
  // MARK: Section 5: offers in order of preference

  @Test func `the first offer that can be accepted is chosen`() {
    #expect(answer(keeping, "x-webkit-deflate-frame") == "")
    #expect(answer(keeping, "foo; bar=1, permessage-deflate") == "permessage-deflate")
    #expect(
      answer(
        keeping, "permessage-deflate; unknown, permessage-deflate; server_max_window_bits=10",
        "permessage-deflate") == "permessage-deflate; server_max_window_bits=10")
    #expect(
      answer(
        keeping, "permessage-deflate; client_max_window_bits; server_max_window_bits=8, permessage-deflate")
        == "permessage-deflate")
    #expect(answer(keeping) == "")
  }

  @Test(arguments: [
    "unknown", "server_no_context_takeover=1", "client_no_context_takeover=\"1\"", "server_max_window_bits",
    "server_max_window_bits=7", "server_max_window_bits=16", "server_max_window_bits=09",
    "server_max_window_bits=-9", "server_max_window_bits=9.0", "client_max_window_bits=7",
    "client_max_window_bits=16", "client_max_window_bits=010", "client_max_window_bits=x",
    "server_no_context_takeover; server_no_context_takeover",
    "client_max_window_bits; client_max_window_bits=10", "Server_No_Context_Takeover",
    "server_max_window_bits=99999999999999999999",
  ])
  func `a parameter that is unknown, doubled or has a wrong value declines its offer`(_ parameters: String) {
    #expect(answer(keeping, "permessage-deflate; \(parameters)") == "")
    #expect(answer(keeping, "permessage-deflate; \(parameters), permessage-deflate") == "permessage-deflate")
  }

  // MARK: Section 7.1.1: context take-over

  @Test func `what the client asks for is granted`() {
    #expect(
      answer(keeping, "permessage-deflate; server_no_context_takeover")
        == "permessage-deflate; server_no_context_takeover")
    #expect(
      answer(keeping, "permessage-deflate; client_no_context_takeover")
        == "permessage-deflate; client_no_context_takeover")
  }

  @Test func `a server may always ask for no take-over`() {
    #expect(
      answer(forgetting, "permessage-deflate")
        == "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
    #expect(answer(shared, "permessage-deflate") == "permessage-deflate; server_no_context_takeover")
  }

  // MARK: Section 7.1.2: windows

  @Test(arguments: 9...15)
  func `the server's window is at most what the client asks for`(_ bits: Int) {
    let offer = "permessage-deflate; server_max_window_bits=\(bits)"
    #expect(answer(keeping, offer) == offer)
    #expect(answer(small, offer) == "permessage-deflate; server_max_window_bits=\(min(10, bits))")
  }

  @Test(arguments: 8...15)
  func `the client's window is at most what it says`(_ bits: Int) throws {
    let offers = try #require(ExtensionOffer.parse(["permessage-deflate; client_max_window_bits=\(bits)"]))
    let chosen = try #require(keeping.choose(from: offers))
    #expect(chosen.clientWindowBits == bits)
    #expect(
      chosen.response == "permessage-deflate" + (bits < 15 ? "; client_max_window_bits=\(bits)" : ""))
    #expect(small.choose(from: offers)?.clientWindowBits == min(10, bits))
  }

  @Test func `a client that does not know the parameter is not asked for a smaller window`() throws {
    #expect(answer(small, "permessage-deflate") == "permessage-deflate; server_max_window_bits=10")
    let offers = try #require(ExtensionOffer.parse(["permessage-deflate"]))
    #expect(small.choose(from: offers)?.clientWindowBits == 15)
    #expect(
      answer(small, "permessage-deflate; client_max_window_bits")
        == "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10")
  }

  /// What Chromium, Firefox and Python's `websockets` send.
  @Test func `what browsers offer is accepted`() {
    for offer in ["permessage-deflate; client_max_window_bits", "permessage-deflate"] {
      #expect(
        answer(forgetting, offer)
          == "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
    }
  }
}
