"""The sandbox shop: a stand-in for a company's internal API, own process, own storage, own rules."""
