import GatewayConfig
import LayerTestSupport
import Testing

@testable import RedisLayers

/// A token that Python's `cryptography` made for channels_redis with the key "s3cret-key-one".
struct FernetTests {
  private let token = Array(
    """
    gAAAAABrBI5jV7FwWgdCI7v6ZzfaxGMJQ8GYHKxT1s5ARUeve3fOWyqM3utn4UoUOsjD_f_pPnU-6wSe1xlAtyID03-FJgDO8z645ZxIEKc7913XiZclV67NkZ5jEsDcFliVgRLezf9WQMCY40T7st2AeYZkOlplgBXJjLL_PT4a9qyIRJsP-n7Fq3M-wMXYi8Z585ESJUStXYwjHLC5t0zIqqQaJJw36w==
    """.utf8)
  private let plain = hex(
    """
    83a474797065ac636861742e6d657373616765a76d657373616765a568656c6c6fb05f5f617367695f6368616e6e656c5f5fd92c
    73706563696669632e3030303030303030303030303030303030303030303030303030303030303031216161
    """)
  private let time: UInt64 = 1_795_460_707
  private let vector = hex("57b1705a074223bbfa6737dac4630943")

  @Test func `a token of Python's is read, and made again to the byte`() throws {
    let fernet = try #require(Fernet(keys: ["s3cret-key-one"]))
    #expect(try fernet.decrypt(token, maximumAge: 70, now: time + 70) == plain)
    #expect(fernet.encrypt(plain, now: time, vector: vector) == token)
  }

  @Test func `every key reads, the first one writes`() throws {
    let new = try #require(Fernet(keys: ["new", "s3cret-key-one"]))
    #expect(try new.decrypt(token, maximumAge: nil, now: time) == plain)
    let old = try #require(Fernet(keys: ["s3cret-key-one"]))
    #expect(throws: CodecFault.undecryptable) {
      try old.decrypt(new.encrypt(plain, now: time), maximumAge: nil, now: time)
    }
    #expect(Fernet(keys: []) == nil)
  }

  @Test func `too old, and from the future`() throws {
    let fernet = try #require(Fernet(keys: ["s3cret-key-one"]))
    #expect(throws: CodecFault.tooOld) { try fernet.decrypt(token, maximumAge: 70, now: time + 71) }
    #expect(throws: CodecFault.undecryptable) { try fernet.decrypt(token, maximumAge: 70, now: time - 61) }
    #expect(try fernet.decrypt(token, maximumAge: nil, now: time + 1_000_000) == plain)
  }

  @Test func `every changed byte is noticed`() throws {
    let fernet = try #require(Fernet(keys: ["s3cret-key-one"]))
    for place in token.indices.dropLast(2) {
      var changed = token
      changed[place] = changed[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
      #expect(throws: CodecFault.undecryptable) { try fernet.decrypt(changed, maximumAge: nil, now: time) }
    }
    for text in ["", "a", "====", "gAAAAABrBI5j", "é"] {
      #expect(throws: CodecFault.undecryptable) {
        try fernet.decrypt(Array(text.utf8), maximumAge: nil, now: time)
      }
    }
  }
}
