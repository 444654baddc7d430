"""What the tests stand on: certificates, peers, proxies and a clock. Nothing here tests anything."""
