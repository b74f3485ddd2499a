// The builder's default ids depend on the folder in which it runs: two builds would not be equal to the byte.
module.exports = { optimization: { moduleIds: 'named' } };
