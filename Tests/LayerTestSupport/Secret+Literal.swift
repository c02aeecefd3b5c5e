package import GatewayConfig

extension Secret: ExpressibleByStringLiteral {
  package init(stringLiteral text: String) { self.init(text) }
}
