import Testing

@testable import Gateway

struct PublishTargetTests {
  @Test(
    arguments: [
      ("chat_lobby", nil), ("chat_my room", "it contains a space"), ("caf\u{E9}", "it contains \"\u{E9}\""),
      ("", "it is empty"), ("sluice.control", "names that begin with \"sluice.\" are reserved"),
      (String(repeating: "a", count: 100), "it is longer than 99 characters"),
    ] as [(String, String?)])
  func `a name that no group can have is told apart from a group that no route allows`(
    _ name: String, _ fault: String?
  ) {
    let said = PublishTarget.fault(inGroup: name)
    #expect((said == nil) == (fault == nil))
    if let fault {
      #expect(said?.contains(" is not a valid group name: \(fault) (1 to 99") == true, "\(said ?? "")")
    }
  }

  @Test(
    arguments: [
      (
        "http://a:8000/api/publish", "http://b:9000/api/publish/",
        "add a \"/\" at its end: http://a:8000/api/publish/"
      ),
      (
        "http://a:8000", "http://b:9000/api/publish/", "in the configuration it is http://b:9000/api/publish/"
      ),
      ("http://a:8000/x", nil, "give the URL of the \"publish\" route with --url"),
      ("http://a/x/", "http://a/x/", "what answers there is not a gateway with this configuration"),
    ] as [(String, String?, String)])
  func `a wrong URL is compared with that of the configuration`(
    _ url: String, _ configured: String?, _ advice: String
  ) {
    #expect(PublishTarget.advice(for: url, configured: configured) == advice)
  }
}
