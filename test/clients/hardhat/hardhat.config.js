require("@nomicfoundation/hardhat-ethers");

/// The network is the node that the test names; the compiler is never asked for, the contract comes compiled.
module.exports = {
  solidity: "0.8.28",
  networks: {
    msnet: {
      url: process.env.MSNET_URL,
      accounts: ["0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"],
    },
  },
};
