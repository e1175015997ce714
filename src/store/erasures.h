#pragma once

#include <string>
#include <vector>

#include "users.h"

namespace rc::store::sqlite {

/// Users who are being erased, over several transactions where there is much. Every call may throw SqlError;
/// then rollback(). Core: the store's thread.
class Erasures {
  public:
    explicit Erasures(Users& users) : users_(users) {}

    /// The file has just been opened: somebody whose erasing was begun may be left.
    void look();
    /// From now on nobody has the user's name.
    void begin(Ticket ticket, User& user);
    [[nodiscard]] bool any() const { return left_ || !under_way_.empty(); }

    /// Erases up to `rows` records, which then says how many there were less.
    /// @param done  gets the answers of those who are gone
    /// @return whether nobody is left
    bool go_on(uint32_t& rows, std::vector<EraseAnswer>& done);
    void committed();
    void rollback();
    /// Whose answers will not come: the erasing goes on after look().
    std::vector<Ticket> give_up();

  private:
    struct UnderWay {
        EraseAnswer answer;
        std::string name;        // under which the rest stands
        bool committed = false;  // its beginning
        bool done = false;       // in this transaction
    };
    Users& users_;
    std::vector<UnderWay> under_way_;
    bool left_ = false;  // somebody, by an earlier life
};

}  // namespace rc::store::sqlite
