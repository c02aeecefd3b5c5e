import GatewayConfig
import LayerTestSupport
import Testing

@testable import Sessions

struct GripTokenTests {
  private static let secret = Secret("a key of more than sixteen bytes")

  /// Checked with PyJWT 2.15: `jwt.decode(token, key, algorithms=["HS256"])`.
  @Test func `a token is the one of the RFCs`() {
    #expect(
      GripToken.make(Self.secret, user: nil, at: 1_700_000_000)
        == "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzbHVpY2UiLCJleHAiOjE3MDAwMDAwNjB9.EXcohqLhb0TN5YmPKeJ9o3zy4-MvzMx0fbfKZuBSnCQ"
    )
    #expect(
      GripToken.make(Self.secret, user: "ann", at: 1_700_000_000)
        == "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzbHVpY2UiLCJleHAiOjE3MDAwMDAwNjAsInN1YiI6ImFubiJ9.oD5SiFIrqqwlbXmZKBx9ZgfbT3f9TbEoFtcBW3QOv2Y"
    )
  }

  private static let token = GripToken.make(secret, user: nil, at: 1000)

  @Test func `a token counts until it expires, with any of the secrets`() {
    let others = [Secret("another key of sixteen bytes"), Self.secret]
    #expect(GripToken.fault(in: Self.token, signedBy: others, at: 1059) == nil)
    #expect(GripToken.fault(in: Self.token, signedBy: [Self.secret], at: 1060) == "the token has expired")
    #expect(
      GripToken.fault(in: Self.token, signedBy: [others[0]], at: 1000)
        == "the signature of the token is wrong")
    #expect(GripToken.fault(in: Self.token, signedBy: [], at: 1000) == "the signature of the token is wrong")
  }

  /// Made with PyJWT 2.15 and the secret.
  private static let foreign = [
    (
      "eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9.eyJleHAiOjIwMDB9.Hd3zquNNekr3KbwQc_JefqZMFgjAg8zMJIbxkjlij7Lgdkfm5q0vI2AhERqk57qb",
      "the algorithm of the token is not HS256"
    ),
    (
      "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJ4In0.mpdR8dH8NLWS3HPckiFdujLx7Wtq-_3HBypICX14CaM",
      "the token has no exp"
    ),
    (
      "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjIwMDAsIm5iZiI6MTUwMH0.Csi5kRcOD0wNpwzZ1CRZC-LWW1Cl7YyNYcqOhTiIQ3U",
      "the token is not valid yet"
    ),
    (
      "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOiIyMDAwIn0.uRZITBWd4aydZ4cFtS81-MCupnYnYrMfC2w21WalgEA",
      "the claim exp is not a time"
    ),
    ("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJleHAiOjIwMDB9.", "the algorithm of the token is not accepted"),
    ("x", "the token is not a JWT: it does not have three parts"),
    ("..", "the header of the token is malformed"),
  ]

  @Test(arguments: foreign)
  func `other tokens are not accepted`(_ token: String, _ fault: String) {
    #expect(GripToken.fault(in: token, signedBy: [Self.secret], at: 1000) == fault)
  }
}
