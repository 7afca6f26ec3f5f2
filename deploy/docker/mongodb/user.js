// Runs once, when the data folder is new: a user who may read and write one database and nothing else.
const database = process.env.MONGODB_DATABASE;
db.getSiblingDB(database).createUser({
  user: process.env.MONGODB_USERNAME,
  pwd: process.env.MONGODB_PASSWORD,
  roles: [{ role: "readWrite", db: database }],
});
